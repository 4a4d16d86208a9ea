"""Write the measured figures into the docs: `python -m benchmarks.tables` (`--check` only compares).

`benchmarks/results/*.json` are the one source; a block between `<!-- scores -->` and `<!-- /scores -->` is replaced.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(<!-- scores -->\n).*?(<!-- /scores -->)", re.DOTALL)
_ENGLISH = ("data", "P", "R", "strict F1 [95 % interval]", "training", "command")
_CHINESE = ("数据", "P", "R", "严格 F1 [95% 区间]", "训练用时", "命令")
PAGES = {"README.md": _ENGLISH, "README.zh-CN.md": _CHINESE, "docs/benchmarks.md": _ENGLISH}


def render_scores(page: str) -> str:
    """The score table of one page as Markdown, one row per result file."""
    head = PAGES[page]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for path in sorted((ROOT / "benchmarks" / "results").glob("score-*.json")):
        lines.append("| " + " | ".join(_row(json.loads(path.read_text(encoding="utf-8")))) + " |")
    return "\n".join(lines) + "\n"


def _row(result: dict[str, Any]) -> list[str]:
    micro = result["score"]["micro"]
    low, high = result["score"]["interval"]
    return [
        result["what"],
        f"{micro['precision']:.3f}",
        f"{micro['recall']:.3f}",
        f"{micro['f1']:.3f} [{low:.3f}, {high:.3f}]",
        f"{result['train_seconds'] / 60:.1f} min",
        f"`{result['command']}`",
    ]


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text, _BLOCK.sub(lambda match: match[1] + render_scores(page) + match[2], text)


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = []
    for page in PAGES:
        before, after = update(page)
        if before != after:
            stale.append(page)
            if not arguments.check:
                (ROOT / page).write_text(after, encoding="utf-8")
    if arguments.check and stale:
        raise SystemExit("out of date: " + ", ".join(stale) + "; run python -m benchmarks.tables")


if __name__ == "__main__":
    main()
