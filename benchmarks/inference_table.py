"""Write the measured speeds of answering into the docs: `python -m benchmarks.inference_table` (`--check` only compares).

In: `benchmarks/results/inference-*.json`, which `python -m benchmarks.inference` writes. Out: the block `<!-- inference -->`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import ROOT, read_page, replace_block, write_pages

PAGES = ("docs/benchmarks.md",)
_HEAD = (
    "answered by",
    "rows/s",
    "extune is faster",
    "tokens/row",
    "alone, p50 / p95",
    "peak memory",
    "F1",
    "unreadable",
    "cut off",
)


def render_inference(folder: Path = ROOT / "benchmarks" / "results") -> str:
    """A table for each trained run, with the machine and the command."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("inference-*.json"))]
    return "\n".join(_render_run(result) for result in results)


def _render_run(result: Mapping[str, Any]) -> str:
    low, high = result["constraint_gain"]
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    lines = [
        f"**{result['what']}**: {result['rows']} rows timed, {result['rounds']} rounds; {result['scored_rows']} rows scored.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
        *("| " + " | ".join(_row(one)) + " |" for one in result["contenders"]),
        "",
        f"* F1 with the constraint minus F1 without: {low:+.4f} to {high:+.4f} (95 %, paired)",
        f"* {machine}: `{result['command']}`",
        "",
    ]
    return "\n".join(lines)


def _row(one: Mapping[str, Any]) -> list[str]:
    scored = [f"{one['f1']:.3f}", str(one["unreadable_or_not_verbatim"]), str(one["cut_off"])] if "f1" in one else ["–"] * 3
    return [
        one["name"],
        f"{one['rows_per_second']:.2f}",
        f"{one['extune_is_faster']:.2f}x",
        f"{one['tokens_per_row']:.1f}",
        f"{one['alone_p50_milliseconds']} / {one['alone_p95_milliseconds']} ms",
        f"{one['peak_mebibytes']} MiB",
        *scored,
    ]


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    text = read_page(page)
    return text, replace_block(text, "inference", render_inference)


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.inference_table", PAGES, update)


if __name__ == "__main__":
    main()
