"""JSON as people and models write it: in a fence, with single quotes, with a comma too many.

In: a string. Out: its value and whether it had to be repaired. It knows nothing about rows.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any, NamedTuple

import json_repair

_FENCE = re.compile(r"\s*```[ \t]*\w*[ \t]*\r?\n?(.*?)\s*```\s*", re.DOTALL)


class LooseJson(NamedTuple):
    """A list or a mapping, and whether json-repair guessed at some of it."""

    value: dict[str, Any] | list[Any]
    repaired: bool


def looks_like_json(text: str) -> bool:
    """Whether a string claims to be an object, a list or a fence around one."""
    return text.lstrip().startswith(("{", "[", "```"))


def parse_loose_json(text: str) -> LooseJson | None:
    """The object or list that a string holds, or None where it holds none.

    JSON is tried first, then a Python literal (`{'a': None}`), which are exact; only then json-repair, which guesses.
    """
    fence = _FENCE.fullmatch(text)
    body = fence[1] if fence else text
    for parse in (_parse_json, _parse_literal):
        value = parse(body)
        if value is not None:
            return LooseJson(value, False)
    if not looks_like_json(body):
        return None
    mended = json_repair.loads(body, skip_json_loads=True)
    return LooseJson(mended, True) if isinstance(mended, dict | list) and mended else None


def _parse_json(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _parse_literal(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an escape that Python does not know is no literal, rather than a warning
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
