"""UIE's training rows: `{"content", "result_list": [{"text", "start", "end"}], "prompt": "type"}`, one for each type.

In: the rows of a file, or examples. Out: an example for the rows of one text, or rows. Offsets count code points. Neighbouring
rows with one content are one example until a prompt comes again. Prompts for relations (`黄芪的功效`) are counted and left
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extune.data.readers.base import Row, RowError
from extune.data.readers.exchange.base import (
    EXTRACTION,
    LEFT_OUT,
    Content,
    Entity,
    Export,
    Reading,
    RowFormat,
    list_of,
    render_values,
    text_of,
    with_id,
)
from extune.data.readers.tables import RawRow
from extune.domain.example import Example, Source
from extune.errors import DataError


class Uie(RowFormat):
    """A row for each text and type, types without mention included. Holds nested and crossing spans."""

    name = "uie"
    kinds = (EXTRACTION,)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By its three keys."""
        return isinstance(row.get("content"), str) and {"result_list", "prompt"} <= row.keys()

    def _read_rows(self, raws: Sequence[RawRow | RowError], reading: Reading) -> Iterator[Row]:
        group: list[RawRow] = []
        for raw in raws:
            if isinstance(raw, RowError):
                yield raw
            elif group and not _belongs(raw.values, group):
                yield self._read_group(group, reading)
                group = [raw]
            else:
                group.append(raw)
        if group:
            yield self._read_group(group, reading)

    def _read_group(self, group: Sequence[RawRow], reading: Reading) -> Row:
        first = group[0]
        try:
            example_id = reading.name(self.id_of(first.values), first.source)
            entities = [entity for raw in group for entity in _entities(raw, reading)]
            text = text_of(first.values, "content", first.source)
            kept = _without_relations(entities, reading, first.source)
            return Example(example_id, text, reading.read_entities(text, kept, first.source), source=first.source)
        except RowError as error:
            return error

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """Rows for each example and each type that any example has.

        Raises:
            DataError: no example has a span, so that there is no type to write a row for.
        """
        types = list(dict.fromkeys(span.type for example in export.examples for span in export.spans(example)))
        if not types:
            raise DataError(
                "no example has a span",
                where=str(path),
                expected="at least one type: UIE's rows are a row for each text and type",
                fix="choose another format",
            )
        values = []
        for example in export.examples:
            export.lose_extras(example)
            if example.gold is None:
                export.lose(LEFT_OUT, example)
                continue
            for name in types:
                found = [
                    {"text": span.text, "start": span.start, "end": span.end}
                    for span in export.spans(example)
                    if span.type == name
                ]
                values.append(with_id(example, {"content": example.text, "result_list": found, "prompt": name}))
        return {path: render_values(values, as_array=False)}

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content:
        """One row is no example."""
        raise NotImplementedError

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """An example is no one row."""
        raise NotImplementedError


def _belongs(row: Mapping[str, Any], group: Sequence[RawRow]) -> bool:
    first = group[0].values
    is_same = all(row.get(key) == first.get(key) for key in ("content", "id"))
    return is_same and all(raw.values.get("prompt") != row.get("prompt") for raw in group)


def _entities(raw: RawRow, reading: Reading) -> Iterator[Entity]:
    reading.ignore(raw.values, ("id", "content", "result_list", "prompt"), raw.source)
    for found in list_of(raw.values, "result_list", raw.source):
        entity = {key: found.get(key) for key in ("start", "end")}
        yield {**entity, "type": raw.values.get("prompt"), "text": found.get("text")}


def _without_relations(entities: Sequence[Entity], reading: Reading, source: Source) -> list[Entity]:
    """The entities whose prompt does not ask for something of another entity's mention."""
    mentions = {str(entity["text"]) for entity in entities}
    kept = [entity for entity in entities if str(entity["type"]).rpartition("的")[0] not in mentions]
    reading.losses.add("the answer to a relation's prompt is not read", source, len(entities) - len(kept))
    return kept
