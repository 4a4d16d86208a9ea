"""Write the measured parities into docs/engines*.md: `python -m benchmarks.parity_tables` (`--check` only compares).

In: `benchmarks/results/parity-*.json`. Out: the blocks `<!-- parity -->` of the pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.pages import ROOT, read_page, replace_block, write_pages

PAGES = {
    "docs/engines.md": ("run", "held against", "rows", "equal", "points [95 %]", "largest margin of a flip"),
    "docs/engines.zh-CN.md": ("运行", "基准", "行数", "相同", "点数之差 [95%]", "翻转的最大间隔"),
}


def render_rows() -> Iterator[str]:
    """One Markdown row per side that was compared, the same in every language."""
    for path in sorted((ROOT / "benchmarks" / "results").glob("parity-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for one in result["others"]:
            difference = one["difference"]
            points = [f"{100 * difference[key]:+.2f}" for key in ("difference", "low", "high")]
            margins = [abs(flip["margin"]) for flip in one["flips"] if flip["margin"] is not None]
            cells = [
                f"{result['what']}: {one['name']}",
                f"{result['first']['name']} ({100 * result['first']['figure']:.2f})",
                str(result["examples"]),
                f"{100 * one['equal']:.2f} %",
                f"{points[0]} [{points[1]}, {points[2]}]",
                f"{max(margins):.1e}" if margins else "–",
            ]
            yield "| " + " | ".join(cells) + " |"


def update(page: str) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    text = read_page(page)
    lines = ["| " + " | ".join(PAGES[page]) + " |", "|" + "---|" * len(PAGES[page]), *render_rows()]
    return text, replace_block(text, "parity", lambda: "\n".join(lines) + "\n")


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.parity_tables", PAGES, update)


if __name__ == "__main__":
    main()
