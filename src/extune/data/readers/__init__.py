"""Labelled files become examples.

In: a path and how to read it. Out: examples, the wrong rows that were skipped, the encoding and notes. Which syntax a file has
is decided here, what it means in `bio` and `spans`. It knows nothing about prompts and models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from extune.data.readers import bio, spans
from extune.data.readers.base import ReadResult, SkippedRow, numbered_lines
from extune.domain.example import Example
from extune.domain.task import ExtractionTask, Task
from extune.errors import DataError, RecipeError
from extune.files import detect_encoding, read_text

__all__ = ["ReadResult", "SkippedRow", "choose_reader", "read_examples"]

_READERS = ("auto", "bio", "spans")
_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")


def read_examples(
    path: Path | str,
    *,
    reader: str = "auto",
    task: Task | None = None,
    encoding: str | None = None,
    joiner: str | None = None,
    on_bad_row: str = "error",
) -> ReadResult:
    """Read a labelled file.

    Args:
        path: the file.
        reader: `bio` for token-label columns, `spans` for JSONL with offsets, `auto` decides by name and content.
        task: its types are the allowed ones; None allows all.
        encoding: a codec; None detects it.
        joiner: what stands between the tokens of `bio`; None: see `bio`.
        on_bad_row: `error` stops at the first wrong row, `skip` leaves wrong rows out and lists them.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row, or nothing but wrong rows.
        RecipeError: an unknown reader, or a task that is not extraction.
    """
    path, names = Path(path), _require_types(task)
    codec = encoding or detect_encoding(path)
    text = read_text(path, codec).removeprefix("\ufeff")
    if choose_reader(reader, path, text) == "spans":
        rows, notes = spans.read_rows(path, text, names)
    else:
        rows, notes = bio.read_rows(path, text, names, joiner)
    examples, skipped = [], []
    for row in rows:
        if isinstance(row, Example):
            examples.append(row)
        elif on_bad_row == "skip":
            skipped.append(SkippedRow(row.line, row.what, row.code, row.subject))
        else:
            raise row
    if not examples:
        raise DataError(
            f"none of {len(skipped)} rows can be read; line {skipped[0].line}: {skipped[0].reason}" if skipped else "is empty",
            where=str(path),
            expected="at least one example",
            fix="check data.reader and the labels" if skipped else "check the path",
        )
    return ReadResult(tuple(examples), tuple(skipped), codec, tuple(notes))


def _require_types(task: Task | None) -> Sequence[str] | None:
    if task is None:
        return None
    if isinstance(task, ExtractionTask):
        return task.names
    raise RecipeError(
        f"files for task kind {task.kind!r} cannot be read yet",
        where="task.kind",
        expected="extraction",
        fix="kind: extraction",
    )


def choose_reader(reader: str, path: Path, text: str) -> str:
    """`reader`, or for `auto` the one that reads such a file; `text` begins with its first line that is not blank.

    Raises:
        RecipeError: an unknown reader.
    """
    if reader not in _READERS:
        raise RecipeError(
            f"unknown reader {reader!r}", where="data.reader", expected="one of " + ", ".join(_READERS), fix="data.reader=auto"
        )
    if reader != "auto":
        return reader
    if path.suffix.lower() in _JSON_SUFFIXES:
        return "spans"
    first = next((line for _, line in numbered_lines(text) if line.strip()), "")
    try:
        return "spans" if isinstance(json.loads(first), dict) else "bio"
    except ValueError:
        return "bio"
