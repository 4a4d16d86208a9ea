"""Texts without annotation, the input of `extune predict`, one at a time.

In: a file of rows (JSON lines or array, CSV, TSV, Parquet, Arrow) with the usual columns, or `.txt` with a text on each line.
Out: examples without gold. The file is read while it is used (but for an array), so it may be larger than memory. Rows are
numbered where they have no id; a blank line of a `.txt` is an example with an empty text, so that numbers are line numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from extune.data.readers.base import RowError
from extune.data.readers.choices import read_candidates
from extune.data.readers.columns import Columns, RowShape, build_columns
from extune.data.readers.spans import parse_id
from extune.data.readers.tables import SUFFIXES, RawRow, find_encoding, iter_raw_rows
from extune.data.readers.turns import join_turns, parse_turns, read_conversation
from extune.domain.example import Example, Source
from extune.domain.task import ClassificationTask, GenerationTask, Task
from extune.errors import DataError
from extune.files import detect_encoding

_USUAL_SHAPE = RowShape()
_NO_LABELS = ClassificationTask.model_construct(label_names={})


def iter_unlabelled(path: Path, task: Task | None = None, shape: RowShape = _USUAL_SHAPE) -> Iterator[Example]:
    """The examples of a file, lazily. The name and the encoding are checked at once, rows when their turn comes.

    Args:
        path: the file.
        task: decides what a conversation is: for generation its last question with the turns before as history, for other
            tasks one text. None: the latter.
        shape: which columns hold what.

    Raises:
        DataError: the file is missing, empty, not text or of an unknown kind, or has a wrong row.
    """
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return _iter_checked(_iter_txt(path, detect_encoding(path)), path)
    if suffix in SUFFIXES:
        return _iter_checked(_iter_rows(path, find_encoding(path), task, shape), path)
    raise DataError(
        f"unknown kind of file {path.suffix!r}",
        where=str(path),
        expected="one of " + ", ".join((*SUFFIXES, ".txt")),
        fix="rename or convert the file; .txt holds one text per line",
    )


def _iter_checked(examples: Iterator[Example], path: Path) -> Iterator[Example]:
    empty = True
    for example in examples:
        empty = False
        yield example
    if empty:
        raise DataError("holds no texts", where=str(path), expected="at least one text", fix="check the path")


def _iter_txt(path: Path, encoding: str) -> Iterator[Example]:
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            text = line.removesuffix("\n").removesuffix("\r")
            yield Example(f"{path.stem}-{number}", text, source=Source(str(path), number))


def _iter_rows(path: Path, encoding: str, task: Task | None, shape: RowShape) -> Iterator[Example]:
    columns = build_columns(shape, task)
    lines_by_id: dict[str, int] = {}
    for raw in iter_raw_rows(path, encoding):
        if isinstance(raw, RowError):
            raise raw
        value = columns.value("id", raw.values)
        named = {} if value is None else {"id": value}
        example_id = parse_id(named, f"{path.stem}-{len(lines_by_id) + 1}", lines_by_id, raw.source)
        if columns.value("messages", raw.values) is not None:
            yield _read_turns(example_id, raw, columns, task, shape)
        else:
            yield _read_plain(example_id, raw, columns)


def _read_plain(example_id: str, raw: RawRow, columns: Columns) -> Example:
    text, instruction = columns.question(raw.values, raw.source)
    return Example(
        example_id,
        text,
        instruction=instruction,
        history=columns.pairs("history", raw.values, raw.source),
        candidates=read_candidates(_NO_LABELS, columns.value("candidates", raw.values), raw.source),
        source=raw.source,
    )


def _read_turns(example_id: str, raw: RawRow, columns: Columns, task: Task | None, shape: RowShape) -> Example:
    turns = parse_turns(columns.value("messages", raw.values), shape.turns, raw.source)
    system = "\n".join(turn.content for turn in turns if turn.role == "system") or None
    if not isinstance(task, GenerationTask):
        spoken = [turn for turn in turns if turn.role != "system"]
        return Example(example_id, join_turns(spoken), instruction=system, source=raw.source)
    conversation = read_conversation(turns, raw.source)
    history, question = conversation.pairs, conversation.rest
    if not question:  # an answered conversation: its last answer is predicted anew
        history, (question, _) = history[:-1], history[-1] if history else ("", "")
    return Example(example_id, question, instruction=system, history=history, source=raw.source)
