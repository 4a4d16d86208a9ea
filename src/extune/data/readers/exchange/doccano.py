"""doccano's JSONL: `{"id", "text", "label": [[start, end, "type"], ...]}`, and `entities` with `relations` of newer versions.

In: a row of an export, or an example. Out: the text with its spans or label names, or a row to import. Offsets count code
points; its first versions counted UTF-16 units. A project that counts grapheme clusters exports those, which nothing in the
file shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extune.data.readers.base import RowError
from extune.data.readers.exchange.base import (
    CLASSIFICATION,
    EXTRACTION,
    NO_GOLD,
    Content,
    Entity,
    Export,
    Reading,
    RowFormat,
    list_of,
    text_of,
    with_id,
)
from extune.data.readers.exchange.offsets import settle_offsets
from extune.domain.annotation import Labels
from extune.domain.example import Example, Source

_LISTS = ("label", "labels", "entities")


class Doccano(RowFormat):
    """Rows of a sequence labelling or text classification project. Holds nested and crossing spans where the project does."""

    name = "doccano"
    kinds = (EXTRACTION, CLASSIFICATION)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By triples, by its names of offsets, or by the list that only it has."""
        if not isinstance(row.get("text"), str):
            return False
        if "entities" in row and "Comments" in row:
            return True
        return any(_is_span(member) for key in _LISTS if isinstance(row.get(key), list) for member in row[key])

    def shows_classes(self, row: Mapping[str, Any]) -> bool:
        """By a list of names."""
        value = row.get("label", row.get("labels"))
        return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content:
        """An empty list is an annotation: doccano does not say which texts nobody has looked at."""
        text = text_of(row, "text", source)
        key = next((key for key in _LISTS if key in row), None)
        if key is None:
            return Content(text, None)
        members = row[key]
        reading.losses.add("a relation is not read", source, len(list_of(row, "relations", source)))
        reading.ignore(row, ("id", "text", "relations", key), source)
        if reading.kind == CLASSIFICATION:
            return Content(text, reading.read_names(members, source))
        if not isinstance(members, list):
            raise RowError(f"{key!r} is no list", source=source, expected='[[0, 2, "type"], ...]', fix="correct the row")
        entities = [_read_span(member, source) for member in members]
        return Content(text, reading.read_entities(text, settle_offsets(text, entities, reading, source), source))

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """The triples, or the names; what every version imports."""
        export.lose_extras(example)
        if example.gold is None:
            export.lose(NO_GOLD, example)
        if isinstance(example.gold, Labels):
            return with_id(example, {"text": example.text, "label": list(example.gold.names)})
        spans = export.spans(example)
        return with_id(example, {"text": example.text, "label": [[span.start, span.end, span.type] for span in spans]})


def _is_span(member: object) -> bool:
    if isinstance(member, dict):
        return {"start_offset", "end_offset", "label"} <= member.keys()
    return isinstance(member, list) and len(member) == 3 and [type(part) for part in member] == [int, int, str]


def _read_span(member: object, source: Source) -> Entity:
    if isinstance(member, dict) and _is_span(member):
        return {"start": member["start_offset"], "end": member["end_offset"], "type": member["label"]}
    if isinstance(member, list) and len(member) == 3:
        return dict(zip(("start", "end", "type"), member, strict=True))
    raise RowError(
        f"a label is a {type(member).__name__} that is no span",
        source=source,
        expected='[start, end, "type"] or {"start_offset", "end_offset", "label"}',
        fix="correct the row; label names of texts are read with task.kind: classification",
    )
