"""Write the measured figures into the docs: `python -m benchmarks.tables` (`--check` only compares).

`benchmarks/results/*.json` are the one source; blocks between `<!-- scores -->` and `<!-- /scores -->`, and the same with
`commands`, are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.pages import ROOT, read_page, replace_block, write_pages

_ENGLISH = (
    "data",
    "figure",
    "trained [95 % interval]",
    "untrained base (paired gain)",
    "without a model (paired gain)",
    "training",
)
_CHINESE = ("数据", "指标", "训练后 [95% 区间]", "未训练的底座（配对提升）", "不用模型（配对提升）", "训练用时")
PAGES = {"README.md": _ENGLISH, "README.zh-CN.md": _CHINESE, "docs/benchmarks.md": _ENGLISH}
_FIGURES = {"micro.f1": "strict F1", "accuracy": "accuracy", "rouge_l": "ROUGE-L"}
_UNTRAINED = "untrained base"


def render_scores(page: str) -> str:
    """The score table of one page as Markdown, one row per result file."""
    head = PAGES[page]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_score_row(result)) + " |" for result in _read_results()]
    return "\n".join(lines) + "\n"


def render_commands(_: str) -> str:
    """The command of each row of the score table."""
    return "".join(f"* {result['what']}: `{result['command']}`\n" for result in _read_results())


_BLOCKS: dict[str, Callable[[str], str]] = {
    "scores": render_scores,
    "commands": render_commands,
}


def _read_results() -> list[dict[str, Any]]:
    paths = sorted((ROOT / "benchmarks" / "results").glob("score-*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _score_row(result: dict[str, Any]) -> list[str]:
    name = result["headline"]
    low, high = result["score"]["interval"]
    baselines = result["baselines"]
    others = {key: one for key, one in baselines.items() if key != _UNTRAINED}
    best = max(others, key=lambda key: others[key]["headline"], default=None)
    return [
        result["what"],
        _FIGURES[name],
        f"{_find(result['score'], name):.3f} [{low:.3f}, {high:.3f}]",
        _describe_gain(baselines[_UNTRAINED]),
        "–" if best is None else f"{best} {_describe_gain(others[best])}",
        f"{result['train_seconds'] / 60:.1f} min",
    ]


def _describe_gain(baseline: dict[str, Any]) -> str:
    low, high = baseline["difference"]
    return f"{baseline['headline']:.3f} ({low:+.3f} to {high:+.3f})"


def _find(score: dict[str, Any], figure: str) -> float:
    value: Any = score
    for key in figure.split("."):
        value = value[key]
    return float(value)


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    before = after = read_page(page)
    for name, render in _BLOCKS.items():
        after = replace_block(after, name, partial(render, page))
    return before, after


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.tables", PAGES, update)


if __name__ == "__main__":
    main()
