"""The rows of a split one after the other, as often as they are asked for, without the file in memory.

In: the `data` section, a split and the task. Out: examples and wrong rows in file order. Files of lines (`bio` and `spans`)
are read line by line; what another reader reads is read whole, each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import merge
from pathlib import Path

from extune.data.readers import bio, choose_reader, spans
from extune.data.readers.base import Lines, Row, RowError
from extune.data.splits import find_split, read_file
from extune.domain.example import Example, Source
from extune.domain.task import ExtractionTask, Task
from extune.files import detect_encoding, require_decodable
from extune.recipe.sections import DataSection


@dataclass(frozen=True)
class RowStream:
    """The rows of one file.

    Attributes:
        path: of the file.
        encoding: the codec that it is read with.
        reader: that its rows come from.
        rows: gives all rows from the beginning, at each call.
        layout: of a file of token-label columns; else None.
    """

    path: Path
    encoding: str
    reader: str
    rows: Callable[[], Iterator[Row]]
    layout: bio.Layout | None = None


def open_stream(data: DataSection, split: str, task: Task) -> RowStream:
    """The rows of a split that the recipe names.

    Raises:
        DataError: the file is missing or not text, or no reader can read it.
    """
    path = find_split(data, split)
    if path is None:
        raise ValueError(f"the recipe names no file for {split}")
    codec = data.encoding or detect_encoding(path)
    require_decodable(path, codec)
    lines = partial(iter_lines, path, codec)
    first = next((line for _, line in lines() if line.strip()), "")
    reader = choose_reader(data.reader, path, first, task)
    if not isinstance(task, ExtractionTask) or reader not in ("bio", "spans") or first.lstrip().startswith("["):
        return RowStream(path, codec, reader, partial(_read_whole, data, path, task))
    if reader == "spans":
        return RowStream(path, codec, reader, partial(_iter_spans, path, lines, task.names))
    layout = bio.detect_layout(path, lines)
    return RowStream(path, codec, reader, partial(bio.iter_rows, path, lines, task.names, data.joiner, layout), layout)


def iter_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines as `readers.base.numbered_lines` gives them, read one after the other."""
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            text = line.removesuffix("\n").removesuffix("\r")
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def _iter_spans(path: Path, lines: Lines, names: Sequence[str]) -> Iterator[Row]:
    return spans.iter_rows(path, lines(), names, Counter())


def _read_whole(data: DataSection, path: Path, task: Task) -> Iterator[Row]:
    result = read_file(data.model_copy(update={"on_bad_row": "skip"}), path, task)
    wrong = [
        RowError(row.reason, source=Source(str(path), row.line), code=row.code, subject=row.subject) for row in result.skipped
    ]
    return merge(result.examples, wrong, key=_line)


def _line(row: Row) -> int:
    if isinstance(row, Example):
        return row.source.line if row.source is not None else 0
    return row.line
