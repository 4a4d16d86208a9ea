"""Write the measured speeds of training into the docs: `python -m benchmarks.training_table` (`--check` only compares).

In: `benchmarks/results/training-*.json`, which `python -m benchmarks.training` writes. Out: the block `<!-- training -->`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import ROOT, read_page, replace_block, write_pages

PAGES = ("docs/benchmarks.md",)
_OURS = {"extune": "extune", "extune-compiled": "compiled"}
_HEAD = ("trained by", "rows/s", "targets/s", "peak memory", "loss, last step", "beside it: speed", "memory")


def render_training(folder: Path = ROOT / "benchmarks" / "results") -> str:
    """A table for each workload, with the machine, the command and who was refused."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("training-*.json"))]
    return "\n".join(_render_workload(result) for result in results)


def _render_workload(result: Mapping[str, Any]) -> str:
    checkpointing = ", gradient checkpointing on" if result["checkpointing"] else ""
    lines = [
        f"**{result['what']}**: batch {result['batch']}, {result['tokens_per_row']} tokens a row, of which "
        f"{result['targets_per_row']} are targets{checkpointing}; {result['steps']} steps, {_most_repeats(result)} repeats.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
        *("| " + " | ".join(_row(one)) + " |" for one in result["configurations"].values()),
        "",
        *(f"* refused: {name}, {reason}" for name, reason in result["refused"].items()),
        f"* {_describe_machine(result['machine'])}, {result['date']}: `{result['command']}`",
        f"* {_describe_versions(result['configurations'])}",
        "",
    ]
    return "\n".join(lines)


def _most_repeats(result: Mapping[str, Any]) -> int:
    return max((one["repeats"] for one in result["configurations"].values()), default=0)


def _row(one: Mapping[str, Any]) -> list[str]:
    """Of one configuration; the last two cells are for each of extune's own that it is compared with."""
    low, high = one["rows_per_second_range"]
    beside = {_OURS[name]: figures for name, figures in one["extune_beside_it"].items() if name in _OURS}
    return [
        one["what"],
        f"{one['rows_per_second']:.2f} ({low:.2f} to {high:.2f})",
        f"{one['target_tokens_per_second']:.1f}",
        f"{one['peak_gib']:.2f} GiB",
        f"{one['losses'][-1]:.3f}" if one["same_order"] else "another order",
        ", ".join(f"{name} {figures['speed']:.2f}x" for name, figures in beside.items()) or "–",
        ", ".join(f"{name} {figures['memory']:.2f}x" for name, figures in beside.items()) or "–",
    ]


def _describe_machine(machine: Mapping[str, Any]) -> str:
    return machine["gpu"] or f"{machine['cpus']} cores of {machine['cpu']}, {machine['memory_gib']} GiB"


def _describe_versions(configurations: Mapping[str, Mapping[str, Any]]) -> str:
    """Each set of versions once."""
    sets = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in one["versions"].items()) for one in configurations.values()
    )
    return "; ".join(sets)


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    text = read_page(page)
    return text, replace_block(text, "training", render_training)


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.training_table", PAGES, update)


if __name__ == "__main__":
    main()
