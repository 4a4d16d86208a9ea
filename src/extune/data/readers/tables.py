"""Rows of named columns out of any file that holds such: JSON lines, a JSON array, CSV, TSV, Parquet, Arrow.

In: a path and its encoding. Out: one mapping per row, or the error of a wrong row, each with its line; in Parquet and Arrow,
which have no lines, the number of the row. All but arrays are read while they are used. It knows nothing about what columns
mean.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from extune.data.readers.base import RowError
from extune.data.readers.spans import parse_object
from extune.domain.example import Source
from extune.errors import DataError
from extune.files import detect_encoding, read_text, require_file

BINARY = "binary"  # stands for the encoding of a file that holds no text
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_ARROW_SUFFIXES = (".parquet", ".arrow", ".feather")
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*_JSON_SUFFIXES, *_DELIMITERS, *_ARROW_SUFFIXES)


class RawRow(NamedTuple):
    """One row as the file holds it."""

    source: Source
    values: dict[str, Any]


def find_encoding(path: Path, encoding: str | None = None) -> str:
    """The codec of a file of rows, `binary` for Parquet and Arrow; `encoding` overrules the detection.

    Raises:
        DataError: the file is missing, a folder or no text in this encoding.
    """
    if path.suffix.lower() in _ARROW_SUFFIXES:
        require_file(path)
        return BINARY
    if encoding is None:
        return detect_encoding(path)
    read_text(path, encoding)  # names the codec that is unknown, or the byte that it cannot decode
    return encoding


def iter_raw_rows(path: Path, encoding: str) -> Iterator[RawRow | RowError]:
    """The rows of a file; a wrong one is an error in its place.

    Args:
        path: its suffix tells CSV, TSV, Parquet and Arrow; anything else is JSON.
        encoding: from `find_encoding`.

    Raises:
        DataError: the file cannot be read on from some place, or a library for it is missing.
    """
    if encoding == BINARY:
        yield from _iter_arrow(path)
        return
    delimiter = _DELIMITERS.get(path.suffix.lower())
    with path.open(encoding=encoding, newline="" if delimiter else "\n") as file:
        if delimiter:
            yield from _iter_csv(file, path, delimiter)
        elif is_array(file):
            yield from _iter_array(file.read().removeprefix("\ufeff"), path)
        else:
            yield from _iter_json_lines(file, path)


def is_array(file: IO[str]) -> bool:
    """Whether a JSON file is one array; its position is the beginning again afterwards."""
    first = ""
    while (character := file.read(1)) and (character.isspace() or character == "\ufeff"):
        pass
    first = character
    file.seek(0)
    return first == "["


def _iter_json_lines(file: IO[str], path: Path) -> Iterator[RawRow | RowError]:
    for number, raw in enumerate(file, 1):
        line = raw.removeprefix("\ufeff") if number == 1 else raw
        if not line.strip():
            continue
        source = Source(str(path), number)
        try:
            yield RawRow(source, parse_object(line, source))
        except RowError as error:
            yield error


def _iter_array(text: str, path: Path) -> Iterator[RawRow | RowError]:
    """The objects of an array with the lines at which they begin; after a syntax error nothing can be read."""
    decoder, place, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    place = _skip_space(text, place)
    while not text.startswith("]", place):
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise _broken_array(path, error.lineno, f"not JSON at column {error.colno}: {error.msg}") from None
        source = Source(str(path), line)
        if isinstance(value, dict):
            yield RawRow(source, value)
        else:
            yield RowError(
                f"an element of the array is a JSON {type(value).__name__}",
                source=source,
                expected="objects such as {...} in the array",
                fix="correct the element",
            )
        place = _skip_space(text, place)
        if text.startswith(",", place):
            place = _skip_space(text, place + 1)
        elif not text.startswith("]", place):
            raise _broken_array(path, text.count("\n", 0, place) + 1, "neither a comma nor ] follows an element of the array")
    place = _skip_space(text, place + 1)
    if place < len(text):
        raise _broken_array(path, text.count("\n", 0, place) + 1, "something stands after the end of the array")


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _broken_array(path: Path, line: int, what: str) -> DataError:
    return DataError(
        what,
        where=f"{path}:{line}",
        expected="one JSON array of objects, or one object on each line",
        fix="correct the file there; what follows cannot be read",
    )


def _iter_csv(file: IO[str], path: Path, delimiter: str) -> Iterator[RawRow | RowError]:
    reader = csv.DictReader(file, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            names = [name.removeprefix("\ufeff") for name in reader.fieldnames or ()]
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"not {path.suffix[1:].upper()}: {error}",
                where=f"{path}:{line}",
                expected="cells apart by " + ("tabs" if delimiter == "\t" else "commas, as in RFC 4180"),
                fix="correct the quotation marks there, export the file again, or use .jsonl",
            ) from None
        if row is None:
            return
        source = Source(str(path), max(line, 2))
        if None in row or None in row.values():
            yield RowError(
                f"has {'more' if None in row else 'fewer'} columns than the first line",
                source=source,
                expected=", ".join(names),
                fix=f"put quotation marks around a text that holds {'tabs' if delimiter == chr(9) else 'commas'}",
            )
        else:
            yield RawRow(source, dict(zip(names, row.values(), strict=True)))


def _iter_arrow(path: Path) -> Iterator[RawRow]:
    number = 0
    for batch in _open_batches(path):
        for values in batch.to_pylist():
            number += 1
            yield RawRow(Source(str(path), number), values)


def _open_batches(path: Path) -> Iterator[Any]:
    """Record batches of a Parquet file, an Arrow file (Feather) or an Arrow stream (what `datasets` saves)."""
    try:
        import pyarrow as pa
        from pyarrow import ipc, parquet
    except ImportError:
        raise DataError(
            f"reading {path.suffix} needs pyarrow, which is not installed",
            where=str(path),
            expected="the extra `tables`",
            fix="pip install 'extune[tables]', or convert the file to .jsonl",
        ) from None
    try:
        if path.suffix.lower() == ".parquet":
            with parquet.ParquetFile(path) as file:
                yield from file.iter_batches()
            return
        with pa.memory_map(str(path)) as source:
            try:
                reader = ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                reader = ipc.open_stream(source)
            yield from reader.read_all().to_batches()
    except pa.ArrowInvalid as error:
        raise DataError(
            f"cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}",
            where=str(path),
            expected="a file that its suffix describes",
            fix="write the file again",
        ) from None
