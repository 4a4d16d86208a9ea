"""The rows of a split one after the other, as often as they are asked for, without the file in memory.

In: the `data` section, a split and the task. Out: examples and wrong rows in file order. Files of lines (`bio` and `spans`)
are read line by line. What another reader reads, the files of a folder and a part of the training file (`data.split`) are read
whole, each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from pathlib import Path

from extune.data.readers import bio, choose_reader, spans
from extune.data.readers.base import Lines, Row, RowError
from extune.data.readers.folders import list_data_files
from extune.data.readers.ids_on_disk import IdsOnDisk
from extune.data.readers.tables import find_encoding
from extune.data.splits import find_shape, find_split, is_part, read_split
from extune.domain.example import Example, Source
from extune.domain.task import ExtractionTask, Task
from extune.recipe.sections import DataSection


@dataclass(frozen=True)
class RowStream:
    """The rows of one split.

    Attributes:
        path: of the file, or of the folder that holds the files.
        encoding: the codec that it is read with.
        rows: gives all rows from the beginning, at each call.
        layout: of a file of token-label columns; else None.
        not_lines: why no line of a file stands for a row that a copy could leave out or correct; empty where it does.
        notes: what the reader found, of files of lines only and after all rows were read.
    """

    path: Path
    encoding: str
    rows: Callable[[], Iterator[Row]]
    layout: bio.Layout | None = None
    not_lines: str = ""
    notes: Callable[[], Sequence[str]] = tuple


def open_stream(data: DataSection, split: str, task: Task) -> RowStream:
    """The rows of a split that the recipe names.

    Raises:
        DataError: the file is missing or not text, or no reader can read it.
    """
    path = find_split(data, split)
    if path is None:
        raise ValueError(f"the recipe names no file for {split}")
    named = "train" if is_part(data, split) else split
    codecs = {file: find_encoding(file, data.encoding) for file in list_data_files(path, named)}
    whole = RowStream(path, ", ".join(sorted(set(codecs.values()))), partial(_read_whole, data, split, task, path))
    if path not in codecs:
        return replace(whole, not_lines="files of a folder are not rewritten")
    codec = codecs[path]
    reader = choose_reader(data.reader, path, codec, task, find_shape(data, split))
    if is_part(data, split):
        return replace(whole, not_lines="parts of one file (data.split) are not rewritten")
    if not isinstance(task, ExtractionTask) or reader not in ("spans", "bio"):
        return replace(whole, not_lines=f"files of the reader {reader!r} are not rewritten")
    lines = partial(iter_lines, path, codec)
    if reader == "spans":
        objects = _Objects(path, lines, task.names)
        return RowStream(path, codec, objects.rows, notes=objects.notes)
    layout = bio.detect_layout(path, lines)
    rows = partial(bio.iter_rows, path, lines, task.names, data.joiner, layout)
    return RowStream(path, codec, rows, layout, notes=lambda: [layout.note])


def iter_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines as `readers.base.numbered_lines` gives them, read one after the other."""
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            text = line.removesuffix("\n").removesuffix("\r")
            yield number, text.removeprefix("\ufeff") if number == 1 else text


class _Objects:
    """JSONL, read again at each call."""

    def __init__(self, path: Path, lines: Lines, names: Sequence[str]) -> None:
        self._path, self._lines, self._names = path, lines, names
        self._ignored: Counter[str] = Counter()

    def rows(self) -> Iterator[Row]:
        self._ignored = Counter()
        return spans.iter_rows(self._path, self._lines(), self._names, self._ignored, IdsOnDisk())

    def notes(self) -> list[str]:
        return spans.write_notes(self._ignored)


def _read_whole(data: DataSection, split: str, task: Task, path: Path) -> Iterator[Row]:
    """All rows of a split. Of a part of the training file the wrong rows come with train, as no part can be said to have them.

    Of a folder, an example's line is its number among those of all files; a wrong row says its file and its line there.
    """
    result = read_split(data.model_copy(update={"on_bad_row": "skip", "train_limit": None}), split, task)
    wrong = [
        RowError(row.reason, source=Source(str(path), row.line), code=row.code, subject=row.subject)
        for row in (() if split != "train" and is_part(data, split) else result.skipped)
    ]
    if path.is_dir():
        numbered = enumerate(result.examples, 1)
        return iter([*wrong, *(replace(example, source=Source(str(path), number)) for number, example in numbered)])
    return merge(result.examples, wrong, key=_line)


def _line(row: Row) -> int:
    if isinstance(row, Example):
        return row.source.line if row.source is not None else 0
    return row.line
