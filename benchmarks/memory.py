"""Write the tables of what fits where into docs/memory*.md: `python -m benchmarks.memory` (`--check` only compares).

Nothing is measured here: the figures follow from the recipes and the published shapes of their bases.
"""

from __future__ import annotations

from functools import cache

import extune
from benchmarks.pages import read_page, replace_block, write_pages
from extune.stages.plan import GIB, GPUS, plan

_SIZES = tuple(f"{size} GB" for size in GPUS)
PAGES = {
    "docs/memory.md": ("recipe", "base", "parameters", "trained", "fixed", "longest row", "batch", *_SIZES),
    "docs/memory.zh-CN.md": ("配方", "底座", "参数", "训练的参数", "固定部分", "最长一行", "整批", *_SIZES),
}
_CHECKPOINTING = "training.gradient_checkpointing=true"
TRAININGS = (
    ("tcm-ner", "hf:Qwen/Qwen2-7B-Instruct"),
    ("tcm-ner", "hf:Qwen/Qwen2-7B-Instruct", _CHECKPOINTING),
    ("tcm-ner", "hf:Qwen/Qwen2-7B-Instruct", "adapter.method=qlora", _CHECKPOINTING),
    ("tcm-ner-ptuning", "hf:THUDM/chatglm3-6b"),
    ("msra-ner", "hf:baichuan-inc/Baichuan-7B"),
    ("msra-ner", "hf:baichuan-inc/Baichuan-7B", _CHECKPOINTING),
    ("fudan-news", "modelscope:qwen/Qwen1.5-7B-Chat"),
    ("medical-dialogue", "hf:Qwen/Qwen-1_8B-Chat"),
    ("medical-qa", "hf:Qwen/Qwen1.5-0.5B"),
)
"""Shipped recipes with the bases that their settings are for; and changes to them."""


@cache
def render_rows() -> list[str]:
    """One Markdown row per training, the same in every language."""
    rows = []
    for name, base, *overrides in TRAININGS:
        planned = plan(extune.load_recipe(name, f"base.model={base}", *overrides))
        sizes = (planned.memory.fixed.total, planned.total(planned.one_row), planned.total(planned.batch))
        shown = " ".join([f"`{name}`", *(f"`{one}`" for one in overrides)])
        packs = (planned.one_row, planned.batch)
        notes = ["", *(f" ({pack.rows} x {pack.longest})" for pack in packs)]
        cells = [shown, base, f"{planned.memory.parameters / 1e9:.2f} B", f"{planned.memory.trained / 1e6:.1f} M"]
        cells += [f"{size / GIB:.1f}{note}" for size, note in zip(sizes, notes, strict=True)]
        rows.append("| " + " | ".join([*cells, *("✓" if fitting else "–" for fitting in planned.fitting().values())]) + " |")
    return rows


def update(page: str, rows: list[str]) -> tuple[str, str]:
    """The page's text as it is and as it should be."""
    text = read_page(page)
    lines = ["| " + " | ".join(PAGES[page]) + " |", "|" + "---|" * len(PAGES[page]), *rows]
    return text, replace_block(text, "memory", lambda: "\n".join(lines) + "\n")


def main() -> None:
    """Rewrite the pages, or with `--check` fail where one is out of date."""
    write_pages(__doc__, "benchmarks.memory", PAGES, lambda page: update(page, render_rows()))


if __name__ == "__main__":
    main()
