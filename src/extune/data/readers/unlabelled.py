"""Texts without annotation, the input of `extune predict`, one at a time.

In: `.jsonl` with "text" and optionally "id", "instruction", "candidates" and "history", `.csv` with a column `text` and
optionally `id`, `.txt` with a text on each line. Out: examples without gold. The file is read while it is used, so it may be
larger than memory. Rows are numbered where they have no id; a blank line of a `.txt` is an example with an empty text, so that
numbers are line numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from extune.data.readers.annotated import parse_context
from extune.data.readers.base import RowError, require_text
from extune.data.readers.spans import parse_id, parse_object
from extune.domain.example import Example, Source
from extune.errors import DataError
from extune.files import detect_encoding


def iter_unlabelled(path: Path) -> Iterator[Example]:
    """The examples of a file, lazily. The name and the encoding are checked at once, rows when their turn comes.

    Raises:
        DataError: the file is missing, empty, not text or of an unknown kind, or has a wrong row.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"unknown kind of file {path.suffix!r}",
            where=str(path),
            expected="one of " + ", ".join(_READERS),
            fix="rename or convert the file; .txt holds one text per line",
        )
    return _iter_checked(path, detect_encoding(path), read)


def _iter_checked(path: Path, encoding: str, read: Callable[[TextIO, Path], Iterator[Example]]) -> Iterator[Example]:
    empty = True
    with path.open(encoding=encoding, newline="" if path.suffix.lower() == ".csv" else "\n") as file:
        for example in read(file, path):
            empty = False
            yield example
    if empty:
        raise DataError("holds no texts", where=str(path), expected="at least one text", fix="check the path")


def _iter_jsonl(file: TextIO, path: Path) -> Iterator[Example]:
    lines_by_id: dict[str, int] = {}
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        source = Source(str(path), number)
        yield parse_context(parse_object(line, source), f"{path.stem}-{len(lines_by_id) + 1}", lines_by_id, source)


def _iter_csv(file: TextIO, path: Path) -> Iterator[Example]:
    lines_by_id: dict[str, int] = {}
    reader = csv.DictReader(file, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            if "text" not in (reader.fieldnames or ()):
                raise RowError(
                    f"no column 'text'; there are: {', '.join(reader.fieldnames or ()) or 'none'}",
                    source=Source(str(path), 1),
                    expected="a first line that names the columns, apart by commas, one of them text",
                    fix="name the column, or save the file as .txt with one text per line",
                )
            row = next(reader, None)
        except csv.Error as error:
            raise RowError(
                f"not CSV: {error}", source=Source(str(path), line), expected="RFC 4180", fix="export it again, or use .jsonl"
            ) from None
        if row is None:
            return
        source = Source(str(path), max(line, 2))
        if None in row or None in row.values():
            raise RowError(
                f"has {'more' if None in row else 'fewer'} columns than the first line",
                source=source,
                expected=", ".join(reader.fieldnames or ()),
                fix="put quotation marks around a text that holds commas",
            )
        example_id = parse_id(row, f"{path.stem}-{len(lines_by_id) + 1}", lines_by_id, source)
        yield Example(example_id, require_text(row["text"], source), source=source)


def _iter_txt(file: TextIO, path: Path) -> Iterator[Example]:
    for number, line in enumerate(file, 1):
        text = line.removesuffix("\n").removesuffix("\r")
        yield Example(f"{path.stem}-{number}", text, source=Source(str(path), number))


_READERS: dict[str, Callable[[TextIO, Path], Iterator[Example]]] = {
    ".jsonl": _iter_jsonl,
    ".csv": _iter_csv,
    ".txt": _iter_txt,
}
