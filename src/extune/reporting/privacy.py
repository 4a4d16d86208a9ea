"""Folders of the machine that made a report are nobody else's business. In: values. Out: the same without absolute folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

# An absolute folder inside a sentence: behind a blank, a quote or a bracket, up to its last separator. Single blanks between
# words can belong to it: rather a word too many is hidden than a name too few.
_FOLDER = re.compile(r"""(?<![^\s"'(=（「])(?:/|~/|[A-Za-z]:[\\/]|\\\\)(?:(?:[^\s"'<>|:：]|(?<=\w) (?=\w))*[\\/])""")


def hide_folders(value: Any) -> Any:
    """The value with every absolute path shortened to `…/` and its last part; containers are copied."""
    if isinstance(value, str):
        return _hide(value)
    if isinstance(value, Mapping):
        return {key: hide_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide_folders(inner) for inner in value]
    return value


def _hide(text: str) -> str:
    if "\n" not in text:
        for path in (PurePosixPath(text), PureWindowsPath(text)):
            if path.is_absolute() and path.name:
                return f"…/{path.name}"
    return _FOLDER.sub("…/", text)
