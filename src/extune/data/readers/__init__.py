"""Labelled files become examples.

In: a path and how to read it. Out: examples, the wrong rows that were skipped, the encoding and notes. Which syntax a file has
is decided here, what it means in `bio`, `spans` and `rows`, and for the formats of other tools in `exchange`. It knows nothing
about prompts and models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from extune.data.readers import bio, exchange, rows, spans
from extune.data.readers.base import ReadResult, RowError, SkippedRow
from extune.data.readers.columns import ANSWER_NAMES, MESSAGES_NAMES, RowShape
from extune.data.readers.own_rows import ANSWER_KEYS
from extune.data.readers.tables import SUFFIXES as ROW_SUFFIXES
from extune.data.readers.tables import find_encoding, iter_raw_rows
from extune.data.readers.tally import Tally
from extune.domain.example import Example
from extune.domain.task import ExtractionTask, Task
from extune.errors import DataError, RecipeError
from extune.files import read_text

__all__ = ["ReadResult", "RowShape", "SkippedRow", "choose_reader", "nothing_read", "read_examples"]

_OWN_READERS = ("auto", "bio", "spans", "rows")
_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
_USUAL_SHAPE = RowShape()
_CONTENTS = {"extraction": "entities", "classification": "classes"}


def read_examples(
    path: Path | str,
    *,
    reader: str = "auto",
    task: Task | None = None,
    encoding: str | None = None,
    joiner: str | None = None,
    on_bad_row: str = "error",
    shape: RowShape = _USUAL_SHAPE,
) -> ReadResult:
    """Read a labelled file.

    Args:
        path: the file.
        reader: `bio` for token-label columns, `spans` for JSONL with offsets, `rows` for named columns in any other shape, the
            name of another tool's format (`exchange.FOREIGN`), `auto` decides by task, name and content. Examples of other
            tools that nobody has annotated have no gold.
        task: its types are the allowed ones; None allows all, of the kind that each row shows.
        encoding: a codec; None detects it.
        joiner: what stands between the tokens of `bio`; None: see `bio`.
        on_bad_row: `error` stops at the first wrong row, `skip` leaves wrong rows out and lists them.
        shape: how `rows` are read.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row, or nothing but wrong rows.
        RecipeError: an unknown reader, or one that does not fit the task.
    """
    path = Path(path)
    codec = find_encoding(path, encoding)
    chosen = choose_reader(reader, path, codec, task, shape)
    names = task.names if isinstance(task, ExtractionTask) else None
    groups: Mapping[str, str] = {}
    losses = Tally()
    if chosen in exchange.FOREIGN:
        found, notes, losses = exchange.FOREIGN[chosen].read(path, codec, task)
        notes = [f"read as {chosen}", *notes, *losses.notes()]
    elif chosen == "rows":
        found, notes, groups = rows.read_rows(path, codec, task, shape)
    elif chosen == "spans":
        found, notes = spans.read_rows(path, read_text(path, codec).removeprefix("\ufeff"), names)
    else:
        found, notes = bio.read_rows(path, read_text(path, codec).removeprefix("\ufeff"), names, joiner)
    examples, skipped = [], []
    for row in found:
        if isinstance(row, Example):
            examples.append(row)
        elif on_bad_row == "skip":
            skipped.append(SkippedRow(row.line, row.what, row.code, row.subject))
        else:
            raise row
    if not examples and not (skipped and exchange.is_brat(path)):  # of whose folder another document may be right
        raise nothing_read(path, len(skipped), skipped[0] if skipped else None)
    return ReadResult(tuple(examples), tuple(skipped), codec, tuple(notes), groups, losses)


def nothing_read(path: Path, count: int, first: SkippedRow | None) -> DataError:
    """The error of a file that gave no example, but `count` wrong rows, of which `first` is one."""
    return DataError(
        f"none of {count} rows can be read; line {first.line}: {first.reason}" if first else "is empty",
        where=str(path),
        expected="at least one example",
        fix="check data.reader and the labels" if first else "check the path",
    )


def choose_reader(reader: str, path: Path, codec: str, task: Task | None, shape: RowShape) -> str:
    """`reader`, or for `auto` the one that reads such a file; of the file only the first row is looked at.

    Raises:
        RecipeError: an unknown reader, or one that does not fit the task.
    """
    known = (*_OWN_READERS, *exchange.FOREIGN)
    if reader not in known:
        raise RecipeError(
            f"unknown reader {reader!r}", where="data.reader", expected="one of " + ", ".join(known), fix="data.reader=auto"
        )
    chosen = _guess_reader(path, codec, task, shape) if reader == "auto" else reader
    kinds = exchange.FOREIGN[chosen].kinds if chosen in exchange.FOREIGN else ("extraction",)
    if chosen != "rows" and task is not None and task.kind not in kinds:
        raise RecipeError(
            f"reader {chosen!r} reads {' and '.join(_CONTENTS[kind] for kind in kinds)}, task.kind is {task.kind!r}",
            where=str(path),
            expected="rows of named columns, such as JSONL or CSV",
            fix=f"data.reader=rows, or task.kind={kinds[0]}",
        )
    if chosen != "rows" and not shape.is_usual:
        raise RecipeError(
            f"reader {chosen!r} has no columns to choose from",
            where=str(path),
            expected="data.columns, data.answer_format and data.split.by with rows of named columns only",
            fix="data.reader=rows, or remove these keys",
        )
    return chosen


def _guess_reader(path: Path, codec: str, task: Task | None, shape: RowShape) -> str:
    if path.suffix.lower() in ROW_SUFFIXES and path.suffix.lower() not in _JSON_SUFFIXES:
        return "rows"
    foreign = _recognise(path, codec, task, shape)
    if foreign is not None:
        return foreign
    if path.suffix.lower() not in _JSON_SUFFIXES and not _begins_with_json(path, codec):
        return "bio"
    is_usual = shape.is_usual and (task is None or isinstance(task, ExtractionTask))
    return "spans" if is_usual and not _begins_with_columns(path, codec) else "rows"


def _recognise(path: Path, codec: str, task: Task | None, shape: RowShape) -> str | None:
    """The format of another tool that a file is of, where it holds what the task asks for and no columns are named."""
    if not shape.is_usual:
        return None
    is_text = path.suffix.lower() not in _JSON_SUFFIXES and not exchange.is_brat(path)
    found = None if is_text and not _begins_with_json(path, codec) else exchange.recognise(path, codec)
    return found if found is None or task is None or task.kind in exchange.FOREIGN[found].kinds else None


def _begins_with_json(path: Path, codec: str) -> bool:
    """Whether the first line of a text file is an object, or begins an array of objects."""
    first = _first_line(path, codec).strip()
    try:
        return first == "[" or first.startswith("[{") or isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _begins_with_columns(path: Path, codec: str) -> bool:
    """Whether a JSON file holds anything but lines with entities: an array, conversations, or answers in text."""
    if _first_line(path, codec).lstrip().startswith("["):
        return True
    raw = next(iter_raw_rows(path, codec), None)
    if raw is None or isinstance(raw, RowError):
        return False
    names = (*ANSWER_KEYS.values(), *ANSWER_NAMES["extraction"], *MESSAGES_NAMES)
    return "entities" not in raw.values and not raw.values.keys().isdisjoint(names)


def _first_line(path: Path, codec: str) -> str:
    """The first line that is not blank."""
    with path.open(encoding=codec, newline="\n") as file:
        return next((line.removeprefix("\ufeff") for line in file if line.strip("\ufeff \t\r\n")), "")
