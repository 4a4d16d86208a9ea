"""CLUENER's JSON lines: `{"text", "label": {"type": {"mention": [[start, last], ...]}}}`; `last` is inclusive.

In: a row, or an example. Out: the text with its spans, or a row. Offsets count code points. It knows nothing about its ten
types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from extune.data.readers.base import RowError
from extune.data.readers.exchange.base import (
    EXTRACTION,
    Content,
    Entity,
    Export,
    Reading,
    RowFormat,
    render_values,
    text_of,
    with_id,
)
from extune.domain.example import Example, Source

_SHAPE = '{"text": "...", "label": {"type": {"mention": [[0, 1]]}}}'


class Cluener(RowFormat):
    """Mentions by type with their places. Holds nested and crossing spans; a row without labels is not annotated."""

    name = "cluener"
    kinds = (EXTRACTION,)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By places of mentions by type."""
        label = row.get("label")
        groups = list(label.values()) if isinstance(label, dict) else []
        return bool(groups) and all(isinstance(group, dict) for group in groups) and isinstance(row.get("text"), str)

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content:
        """The test set of CLUENER has no labels: such rows have no gold."""
        text = text_of(row, "text", source)
        reading.ignore(row, ("id", "text", "label"), source)
        if "label" not in row:
            return Content(text, None)
        return Content(text, reading.read_entities(text, _entities(row["label"], source), source))

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """Types and mentions in text order."""
        export.lose_extras(example)
        row: dict[str, Any] = {"text": example.text}
        if example.gold is not None:
            label: dict[str, dict[str, list[list[int]]]] = {}
            for span in export.spans(example):
                label.setdefault(span.type, {}).setdefault(span.text, []).append([span.start, span.end - 1])
            row["label"] = label
        return with_id(example, row)

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """CLUENER's own files are lines and end with .json."""
        return {path: render_values(self.list_values(export), as_array=False)}


def _entities(label: object, source: Source) -> Iterator[Entity]:
    for name, mentions in _items(label, source):
        for mention, places in _items(mentions, source):
            for place in places if isinstance(places, list) else [places]:
                if not isinstance(place, list) or len(place) != 2 or [type(part) for part in place] != [int, int]:
                    raise RowError(f"a place is {place!r}", source=source, expected=_SHAPE, fix="correct the row")
                yield {"start": place[0], "end": place[1] + 1, "type": name, "text": mention}


def _items(value: object, source: Source) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise RowError(
            f"a {type(value).__name__} stands among the labels", source=source, expected=_SHAPE, fix="correct the row"
        )
    return iter(value.items())
