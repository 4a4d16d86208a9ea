"""Blocks of pages that are made, not written. In: pages as they are and as they should be. Out: the pages, or what is stale.

A block stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def read_page(page: str) -> str:
    """The text of a page, named from the root of the project."""
    return (ROOT / page).read_text(encoding="utf-8")


def replace_block(text: str, name: str, render: Callable[[], str]) -> str:
    """The text with a new block; unchanged where it has none of this name."""
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return block.sub(lambda match: match[1] + render() + match[2], text)


def write_pages(description: str | None, module: str, pages: Iterable[str], update: Callable[[str], tuple[str, str]]) -> None:
    """The command line of `python -m MODULE`: rewrite the pages, or with `--check` fail where one is out of date.

    Args:
        description: of the command.
        module: to name in the message.
        pages: from the root of the project.
        update: a page's text as it is and as it should be.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = []
    for page in pages:
        before, after = update(page)
        if before != after:
            stale.append(page)
            if not arguments.check:
                (ROOT / page).write_text(after, encoding="utf-8")
    if arguments.check and stale:
        raise SystemExit("out of date: " + ", ".join(stale) + f"; run python -m {module}")
