r"""Word lists and templates of `words/*.txt`, all written from general knowledge for this project.

A file has sections `[name]`. Word lists hold blank-separated words; templates one per line, `\n` for a line break and
`-` for the empty template.
"""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "words"


def read_sections(name: str) -> dict[str, str]:
    """Section name to its text."""
    pieces = re.split(r"^\[(\w+)\]\n", (_FOLDER / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {head: body.strip("\n") for head, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def read_words(name: str) -> dict[str, tuple[str, ...]]:
    """Section name to its words."""
    return {head: tuple(body.split()) for head, body in read_sections(name).items()}


def read_templates(name: str) -> dict[str, tuple[str, ...]]:
    """Section name to its templates."""
    return {
        head: tuple("" if line == "-" else line.replace("\\n", "\n") for line in body.split("\n"))
        for head, body in read_sections(name).items()
    }


GENERAL = read_words("general.txt")
MEDICAL = read_words("medical.txt")
