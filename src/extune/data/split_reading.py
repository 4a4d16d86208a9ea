"""The examples of a split one after the other, and what is said of them afterwards, without the file in memory.

In: the `data` section, a split and the task. Out: the examples that `splits.read_split` gives, in its order, with the same
errors, and what was left out. What `stream` cannot read line by line is read whole. It knows nothing about tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from extune.data.readers import SkippedRow, nothing_read
from extune.data.splits import find_split, read_split, require_name
from extune.data.stream import RowStream, open_stream
from extune.domain.example import Example
from extune.domain.task import Task
from extune.files import require_file
from extune.recipe.sections import DataSection

_KEPT_SKIPS = 20


class SplitReading:
    """Gives the examples of a split, from the beginning each time.

    Attributes:
        file: as in the recipe.
        path: of the file or folder.
        encoding, notes: of the reader.
        skipped, first_skipped: number of the wrong rows that were left out, and the first 20 of them. Like encoding and notes
            they are complete when the last example was given.
    """

    def __init__(self, data: DataSection, split: str, task: Task) -> None:
        self.file = require_name(data, split)
        self.path: Path = find_split(data, split) or Path()
        if not self.path.is_dir():
            require_file(self.path)
        self._data, self._split, self._task = data, split, task
        self._forget()

    def _forget(self) -> None:
        self.encoding, self.notes = "", tuple[str, ...]()
        self.skipped, self.first_skipped = 0, list[SkippedRow]()

    def __iter__(self) -> Iterator[Example]:
        """The examples.

        Raises:
            DataError: as `read_split`; a wrong row is one when it is reached.
        """
        self._forget()
        stream = open_stream(self._data, self._split, self._task)
        return self._read_whole() if stream.not_lines else self._read_lines(stream)

    def _read_whole(self) -> Iterator[Example]:
        result = read_split(self._data, self._split, self._task)
        self.encoding, self.notes = result.encoding, result.notes
        self.skipped, self.first_skipped = len(result.skipped), list(result.skipped[:_KEPT_SKIPS])
        yield from result.examples

    def _read_lines(self, stream: RowStream) -> Iterator[Example]:
        """Also behind `train_limit` wrong rows are errors, or are counted."""
        limit = self._data.train_limit if self._split == "train" else None
        count = 0
        for row in stream.rows():
            if isinstance(row, Example):
                count += 1
                if limit is None or count <= limit:
                    yield row
                continue
            if self._data.on_bad_row != "skip":
                raise row
            self.skipped += 1
            if self.skipped <= _KEPT_SKIPS:
                self.first_skipped.append(SkippedRow(row.line, row.what, row.code, row.subject))
        if not count:
            raise nothing_read(self.path, self.skipped, self.first_skipped[0] if self.first_skipped else None)
        self.encoding, self.notes = stream.encoding, tuple(stream.notes())
