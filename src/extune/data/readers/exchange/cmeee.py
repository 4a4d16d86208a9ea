"""CMeEE's JSON: `[{"text", "entities": [{"start_idx", "end_idx", "type", "entity"}]}]`; `end_idx` is inclusive.

In: a row, or an example. Out: the text with its spans, or a row. Offsets count code points. Copies of the data with exclusive
ends are in use; which of the two an entity has follows from the length of its string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extune.data.readers.exchange.base import (
    EXTRACTION,
    Content,
    Entity,
    Export,
    Reading,
    RowFormat,
    list_of,
    text_of,
    with_id,
)
from extune.domain.example import Example, Source


class Cmeee(RowFormat):
    """Entities with places. Holds nested and crossing spans; a row without entities is not annotated."""

    name = "cmeee"
    kinds = (EXTRACTION,)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By its names of offsets."""
        entities = row.get("entities")
        return isinstance(entities, list) and any(isinstance(one, dict) and "start_idx" in one for one in entities)

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content:
        """The test set of CMeEE has no entities: such rows have no gold."""
        text = text_of(row, "text", source)
        reading.ignore(row, ("id", "text", "entities"), source)
        if "entities" not in row:
            return Content(text, None)
        entities = [_read_entity(one, reading, source) for one in list_of(row, "entities", source)]
        return Content(text, reading.read_entities(text, entities, source))

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """Entities in text order, ends inclusive as in CBLUE."""
        export.lose_extras(example)
        row: dict[str, Any] = {"text": example.text}
        if example.gold is not None:
            row["entities"] = [
                {"start_idx": span.start, "end_idx": span.end - 1, "type": span.type, "entity": span.text}
                for span in export.spans(example)
            ]
        return with_id(example, row)


def _read_entity(entity: Mapping[str, Any], reading: Reading, source: Source) -> Entity:
    start, last, string = (entity.get(key) for key in ("start_idx", "end_idx", "entity"))
    if type(start) is not int or type(last) is not int:
        return {"start": start, "end": last, "type": entity.get("type")}
    is_exclusive = isinstance(string, str) and len(string) == last - start
    reading.remarks.add("end_idx is read as exclusive, as the length of the string says", source, int(is_exclusive))
    return {"start": start, "end": last + (not is_exclusive), "type": entity.get("type"), "text": string}
