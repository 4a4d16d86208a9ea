"""Labelled files become examples.

In: a path and how to read it. Out: examples, the wrong rows that were skipped, the encoding and notes. Which syntax a file has
is decided here, what it means in `bio`, `spans` and `annotated`. It knows nothing about prompts and models.
"""

from __future__ import annotations

import json
from pathlib import Path

from extune.data.readers import annotated, bio, spans
from extune.data.readers.base import ReadResult, SkippedRow, numbered_lines
from extune.domain.example import Example
from extune.domain.task import ExtractionTask, Task
from extune.errors import DataError, RecipeError
from extune.files import detect_encoding, read_text

__all__ = ["ReadResult", "SkippedRow", "choose_reader", "read_examples"]

_READERS = ("auto", "bio", "spans", "annotated")
_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
_ANSWERS = frozenset(annotated.ANSWER_KEYS.values()) - {"entities"}


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
        reader: `bio` for token-label columns, `spans` for JSONL with offsets, `annotated` for JSONL with fields, labels or
            answers; `auto` decides by task, name and content.
        task: its names are the allowed ones; None allows all.
        encoding: a codec; None detects it.
        joiner: what stands between the tokens of `bio`; None: see `bio`.
        on_bad_row: `error` stops at the first wrong row, `skip` leaves wrong rows out and lists them.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row, or nothing but wrong rows.
        RecipeError: an unknown reader, or one that cannot read what the task needs.
    """
    path, names = Path(path), task.names if isinstance(task, ExtractionTask) else None
    codec = encoding or detect_encoding(path)
    text = read_text(path, codec).removeprefix("\ufeff")
    chosen = choose_reader(reader, path, text, task)
    if chosen == "annotated":
        rows, notes = annotated.read_rows(path, text, task)
    elif chosen == "spans":
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


def choose_reader(reader: str, path: Path, text: str, task: Task | None) -> str:
    """`reader`, or for `auto` the one that reads such a file; `text` begins with its first line that is not blank.

    Raises:
        RecipeError: an unknown reader, or one that cannot read what the task needs.
    """
    if reader not in _READERS:
        raise RecipeError(
            f"unknown reader {reader!r}", where="data.reader", expected="one of " + ", ".join(_READERS), fix="data.reader=auto"
        )
    has_spans = task is None or isinstance(task, ExtractionTask)
    if reader in ("bio", "spans") and not has_spans:
        raise RecipeError(
            f"the reader {reader!r} gives spans, which task.kind: {task.kind if task else ''} does not have",
            where="data.reader",
            expected="auto or annotated",
            fix="data.reader=auto",
        )
    if reader != "auto":
        return reader
    first = _parse_first(text)
    if not has_spans or (task is None and isinstance(first, dict) and _ANSWERS & first.keys()):
        return "annotated"
    return "spans" if path.suffix.lower() in _JSON_SUFFIXES or isinstance(first, dict) else "bio"


def _parse_first(text: str) -> object:
    """What the first line that is not blank holds, if it is JSON."""
    try:
        return json.loads(next((line for _, line in numbered_lines(text) if line.strip()), ""))
    except ValueError:
        return None
