"""Prodigy's JSONL: `{"text", "spans": [{"start", "end", "label"}], "tokens": [...], "answer": "accept"}`.

In: a row of `db-out`, or an example. Out: the text with its spans or label names, or a row for `db-in`. Offsets count code
points, `end` is exclusive, `token_end` inclusive. Rows are written without tokens and hashes, which Prodigy adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from extune.data.readers.base import RowError
from extune.data.readers.exchange.base import (
    CLASSIFICATION,
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
from extune.domain.annotation import Labels
from extune.domain.example import Example, Source

_ANSWERS = ("accept", "reject", "ignore")
_HASHES = ("_input_hash", "_task_hash")
_USED = (
    "id", "text", "spans", "tokens", "answer", "label", "options", "accept", "relations", *_HASHES, "_session_id",
    "_annotator_id", "_view_id", "_is_binary", "_timestamp",
)  # fmt: skip


class Prodigy(RowFormat):
    """Rows of a stream or a data set. Holds nested and crossing spans, label names, ids, and texts without annotation."""

    name = "prodigy"
    kinds = (EXTRACTION, CLASSIFICATION)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By its hashes, or by its answers."""
        is_answered = row.get("answer") in _ANSWERS and not row.keys().isdisjoint(("spans", "options", "label"))
        return isinstance(row.get("text"), str) and (is_answered or any(key in row for key in _HASHES))

    def shows_classes(self, row: Mapping[str, Any]) -> bool:
        """By options or a label, where nothing in the text is marked."""
        return "spans" not in row and ("options" in row or isinstance(row.get("label"), str))

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content | None:
        """What was accepted. Rejected and ignored rows say no right answer and are left out; an open row has no gold."""
        text, answer = text_of(row, "text", source), row.get("answer")
        if answer is not None and answer != "accept":
            reading.losses.add(f"a row with the answer {answer!r} is left out", source)
            return None
        reading.losses.add("a relation is not read", source, len(list_of(row, "relations", source)))
        reading.ignore(row, _USED, source)
        if reading.kind == CLASSIFICATION:
            return Content(text, None if answer is None else reading.read_names(_names_of(row), source))
        if answer is None and "spans" not in row:
            return Content(text, None)
        tokens = list_of(row, "tokens", source)
        entities = [_read_span(span, tokens, source) for span in list_of(row, "spans", source)]
        return Content(text, reading.read_entities(text, entities, source))

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """An accepted row, or one to annotate."""
        export.lose_extras(example)
        row: dict[str, Any] = {"text": example.text}
        if isinstance(example.gold, Labels):
            row |= {"options": [{"id": name, "text": name} for name in _all_names(export)], "accept": list(example.gold.names)}
        elif example.gold is not None:
            row["spans"] = [{"start": one.start, "end": one.end, "label": one.type} for one in export.spans(example)]
        return with_id(example, row if example.gold is None else {**row, "answer": "accept"})


def _names_of(row: Mapping[str, Any]) -> object:
    """The chosen options, else the label that was accepted."""
    if "accept" in row or "options" in row:
        return row.get("accept", [])
    return [row["label"]] if "label" in row else []


def _all_names(export: Export) -> list[str]:
    return list(dict.fromkeys(name for one in export.examples if isinstance(one.gold, Labels) for name in one.gold.names))


def _read_span(span: Mapping[str, Any], tokens: Sequence[Mapping[str, Any]], source: Source) -> Entity:
    """A span by its characters; by its tokens where it has no others, and they have to agree."""
    entity: Entity = {"start": span.get("start"), "end": span.get("end"), "type": span.get("label")}
    if isinstance(span.get("text"), str):
        entity["text"] = span["text"]
    first, last = span.get("token_start"), span.get("token_end")
    if not tokens or type(first) is not int or type(last) is not int:
        return entity
    if not 0 <= first <= last < len(tokens):
        raise _wrong_tokens(f"tokens {first} to {last} of {len(tokens)}", source)
    by_tokens = tokens[first].get("start"), tokens[last].get("end")
    if entity["start"] is None and entity["end"] is None:
        return {**entity, "start": by_tokens[0], "end": by_tokens[1]}
    if (entity["start"], entity["end"]) != by_tokens:
        raise _wrong_tokens(f"characters [{entity['start']}, {entity['end']}) and tokens {first} to {last} disagree", source)
    return entity


def _wrong_tokens(what: str, source: Source) -> RowError:
    return RowError(
        f"a span is {what}",
        source=source,
        expected="token_start and token_end (inclusive) of the row's tokens, at its characters",
        fix="correct the row, or remove its tokens",
        code="span-mismatch",
    )
