"""JSONL of texts with offsets becomes examples: `{"text": ..., "entities": [{"start", "end", "type"[, "text"]}]}`.

In: the text of a file, one JSON object per line, optionally with an "id". Out: one row per object, and notes. Offsets count
characters (code points), `end` is exclusive; entities may nest and overlap. It knows nothing about encodings and tasks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from extune.data.readers.base import Row, RowError, numbered_lines, quote, require_text, require_type
from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.example import Example, Source
from extune.errors import DataError

_ROW_KEYS = {"id", "text", "entities", "ungrounded"}
_ENTITY_KEYS = {"start", "end", "type", "text", "confidence"}
_DISCONTINUOUS = "entities"  # under this name, which no ignored key has, rows with a discontinuous entity are counted
_SHAPE = '{"text": "...", "entities": [{"start": 0, "end": 2, "type": "..."}]} on each line'


class _DiscontinuousError(RowError):
    """An entity of several pieces, which extune does not have."""


def read_rows(path: Path, text: str, names: Sequence[str] | None) -> tuple[list[Row], list[str]]:
    """One row per JSON object, and notes.

    Args:
        path: for ids and messages.
        text: the whole file, decoded, without byte order mark.
        names: allowed types; None allows all.

    Raises:
        DataError: the file is one JSON array.
    """
    if text.lstrip().startswith("["):
        raise DataError(
            "is one JSON array", where=str(path), expected=_SHAPE, fix=f"jq -c '.[]' {path.name} > {path.stem}.jsonl"
        )
    ignored: Counter[str] = Counter()
    rows = list(iter_rows(path, numbered_lines(text), names, ignored))
    return rows, write_notes(ignored)


def write_notes(ignored: Counter[str]) -> list[str]:
    """What `iter_rows` counted, one sentence each."""
    discontinuous = ignored[_DISCONTINUOUS]
    notes = [f"key {key!r} ignored, {count} times" for key, count in sorted(ignored.items()) if key != _DISCONTINUOUS]
    return [*notes, f"{discontinuous} row(s) hold a discontinuous entity"] if discontinuous else notes


def iter_rows(
    path: Path,
    lines: Iterable[tuple[int, str]],
    names: Sequence[str] | None,
    ignored: Counter[str],
    lines_by_id: MutableMapping[str, int] | None = None,
) -> Iterator[Row]:
    """One row per JSON object, read when it is asked for; of all rows only the ids are kept.

    Args:
        path: for ids and messages.
        lines: numbered from 1.
        names: allowed types; None allows all.
        ignored: counts the keys that nothing was done with, and rows with a discontinuous entity.
        lines_by_id: where the ids are kept; None: in memory.
    """
    lines_by_id = {} if lines_by_id is None else lines_by_id
    count = 0
    for number, line in lines:
        if not line.strip():
            continue
        source = Source(str(path), number)
        count += 1
        try:
            row = parse_object(line, source)
            example_id = parse_id(row, f"{path.stem}-{count}", lines_by_id, source)
            example = _build_example(row, example_id, names, source)
        except RowError as error:
            ignored[_DISCONTINUOUS] += isinstance(error, _DiscontinuousError)
            yield error
        else:
            ignored.update(_find_ignored_keys(row))
            yield example


def parse_object(line: str, source: Source) -> dict[str, Any]:
    """The JSON object on one line, or a RowError with the column (1-based) of the mistake."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RowError(
            f"not JSON at column {error.colno}: {error.msg}",
            source=source,
            expected="one JSON object per line",
            fix="correct the line; a line break inside a text is written \\n",
        ) from None
    if not isinstance(row, dict):
        raise RowError(f"is a JSON {type(row).__name__}", source=source, expected="a JSON object", fix=f"write {_SHAPE}")
    return row


def parse_id(row: Mapping[str, Any], default: str, lines_by_id: MutableMapping[str, int], source: Source) -> str:
    """The row's id as a string, remembered in `lines_by_id`; a RowError where it is taken or neither string nor integer."""
    value = row.get("id", default)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise RowError(
            f'"id" is {quote(str(value))}', source=source, expected="a non-empty string", fix="correct it, or leave it out"
        )
    example_id = str(value)
    if example_id in lines_by_id:
        raise RowError(
            f"id {quote(example_id)} also stands in line {lines_by_id[example_id]}",
            source=source,
            expected="every id once",
            fix='rename it, or remove all "id" keys: rows are then numbered',
            code="duplicate-id",
        )
    lines_by_id[example_id] = source.line
    return example_id


def parse_entities(value: object, text: str, names: Sequence[str] | None, source: Source) -> tuple[Span, ...]:
    """The spans of `text` that the JSON value lists, or a RowError."""
    if not isinstance(value, list):
        raise RowError(f'"entities" is of type {type(value).__name__}', source=source, expected="a list", fix=f"write {_SHAPE}")
    spans: dict[tuple[int, int, str], Span] = {}
    for index, entity in enumerate(value, 1):
        span = _parse_entity(index, entity, text, source)
        require_type(span.type, names, source)
        if span.key in spans:
            raise RowError(
                f"span [{span.start}, {span.end}) of type {quote(span.type)} stands twice",
                source=source,
                expected="every entity once",
                fix="remove one of the two",
                code="span-twice",
            )
        spans[span.key] = span
    return tuple(spans.values())


def parse_ungrounded(row: Mapping[str, Any], source: Source) -> tuple[Mention, ...]:
    """The mentions without place that the row lists under "ungrounded", or a RowError."""
    try:
        return tuple(Mention(item["type"], item["text"]) for item in row.get("ungrounded", ()))
    except (ValueError, KeyError, TypeError) as error:
        raise RowError(
            f"ungrounded cannot be read: {error}",
            source=source,
            expected='a list of {"type", "text"}',
            fix="correct it, or remove the key",
        ) from None


def _build_example(row: Mapping[str, Any], example_id: str, names: Sequence[str] | None, source: Source) -> Example:
    missing = [key for key in ("text", "entities") if key not in row]
    if missing:
        raise RowError(
            f"key {missing[0]!r} is missing; there are: {', '.join(map(quote, row)) or 'none'}",
            source=source,
            expected=_SHAPE,
            fix='add it; a text without entities has "entities": []',
        )
    text = require_text(row["text"], source)
    gold = Extraction(parse_entities(row["entities"], text, names, source), parse_ungrounded(row, source))
    return Example(example_id, text, gold, source=source)


def _find_ignored_keys(row: Mapping[str, Any]) -> list[str]:
    inner = [f"entities.{key}" for entity in row["entities"] for key in entity.keys() - _ENTITY_KEYS]
    return [*(row.keys() - _ROW_KEYS), *inner]


def _parse_entity(index: int, entity: object, text: str, source: Source) -> Span:
    if not isinstance(entity, dict):
        raise RowError(
            f"entity {index} is of type {type(entity).__name__}", source=source, expected="an object", fix=f"write {_SHAPE}"
        )
    lists = [key for key, value in entity.items() if isinstance(value, list)]
    if lists:
        raise _DiscontinuousError(
            f"entity {index} is discontinuous: {lists[0]!r} is a list",
            source=source,
            expected="one start and one end; discontinuous entities are not supported",
            fix="write each piece as an entity, or data.on_bad_row=skip leaves such rows out and counts them",
            code="discontinuous",
        )
    start, end, name = (entity.get(key) for key in ("start", "end", "type"))
    if type(start) is not int or type(end) is not int or not isinstance(name, str) or not name:
        raise RowError(
            f"entity {index} has start {quote(str(start))}, end {quote(str(end))}, type {quote(str(name))}",
            source=source,
            expected="integers for start and end, a non-empty string for type",
            fix="correct the entity",
        )
    if not 0 <= start < end <= len(text):
        raise RowError(
            f"span [{start}, {end}) of type {quote(name)} does not lie in the text of {len(text)} characters",
            source=source,
            expected="0 <= start < end <= length; offsets count characters, end is exclusive",
            fix="correct the offsets",
            code="span-outside",
        )
    found, claimed = text[start:end], entity.get("text")
    if claimed is not None and claimed != found:
        raise RowError(
            f"span [{start}, {end}) of type {quote(name)} reads {quote(found)}, the entity says {quote(str(claimed))}",
            source=source,
            expected="text[start:end] equal to the entity's text; offsets count characters, end is exclusive",
            fix="correct the offsets" + _hint(text, claimed),
            code="span-mismatch",
        )
    return Span(name, found, start, end, entity.get("confidence"))


def _hint(text: str, claimed: object) -> str:
    place = text.find(claimed) if isinstance(claimed, str) else -1
    return f"; the text has it at [{place}, {place + len(str(claimed))})" if place >= 0 else ""
