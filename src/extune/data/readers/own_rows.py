"""extune's own rows: `{"id", "text", "entities" | "fields" | "labels" | "answer", ...}`, written and read without loss.

In: an example, or an annotation and the row that holds it. Out: a row, or an annotation as it was written. It asks no task
whether its names are allowed: `rows` does that. It knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from extune.data.readers.base import RowError
from extune.data.readers.spans import parse_entities, parse_ungrounded
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example, Source

ANSWER_KEYS: Mapping[str, str] = {
    "extraction": "entities",
    "record": "fields",
    "classification": "labels",
    "generation": "answer",
}
"""Under which key the annotation of each kind of task stands."""


def parse_annotation(key: str, row: Mapping[str, Any], text: str, source: Source) -> Annotation:
    """The annotation under one of `ANSWER_KEYS`, whatever its names are, or a RowError."""
    value = row[key]
    if key == "entities":
        return Extraction(parse_entities(value, text, None, source), parse_ungrounded(row, source))
    if key == "labels":
        return Labels((value,) if isinstance(value, str) else parse_strings(key, value, source))
    if key == "answer":
        if not isinstance(value, str):
            raise _wrong_type(key, value, "a string", source)
        return Answer(value)
    if not isinstance(value, dict):
        raise _wrong_type(key, value, "an object of fields", source)
    return Fields(
        {
            name: content if isinstance(content, str) else parse_strings(f"fields.{name}", content, source)
            for name, content in value.items()
            if content is not None
        }
    )


def add_confidences(annotation: Annotation, row: Mapping[str, Any], source: Source) -> Annotation:
    """The annotation with the confidences that the row of a prediction has, or a RowError."""
    found = row.get("confidences")
    if found is None:
        return annotation
    if isinstance(annotation, Labels):
        return replace(annotation, confidences=_parse_numbers(found, len(annotation.names), source))
    if not isinstance(annotation, Fields):
        return annotation
    return replace(annotation, confidences=_parse_confidences(found, annotation.values, source))


def write_example(example: Example) -> dict[str, Any]:
    """A row that reads as the same example again."""
    row: dict[str, Any] = {"id": example.id, "text": example.text}
    if example.instruction is not None:
        row["instruction"] = example.instruction
    if example.candidates is not None:
        row["candidates"] = list(example.candidates)
    if example.history:
        row["history"] = [list(turn) for turn in example.history]
    return row if example.gold is None else row | write_annotation(example.gold)


def write_annotation(annotation: Annotation) -> dict[str, Any]:
    """The part of a row that holds the annotation.

    `ungrounded` stands there only where there are mentions without place, confidences only where they were computed.
    """
    if isinstance(annotation, Fields):
        row = {"fields": {name: _listed(value) for name, value in annotation.values.items()}}
        known = {name: list(found) for name, found in annotation.confidences.items() if _is_known(found)}
        return row | ({"confidences": known} if known else {})
    if isinstance(annotation, Labels):
        known_names = {"confidences": list(annotation.confidences)} if _is_known(annotation.confidences) else {}
        return {"labels": list(annotation.names), **known_names}
    if isinstance(annotation, Answer):
        return {"answer": annotation.text}
    entities = {"entities": [_write_span(span) for span in annotation.spans]}
    ungrounded = [{"type": mention.type, "text": mention.text} for mention in annotation.ungrounded]
    return {**entities, "ungrounded": ungrounded} if ungrounded else entities


def _write_span(span: Span) -> dict[str, Any]:
    row = {"start": span.start, "end": span.end, "type": span.type, "text": span.text}
    return row if span.confidence is None else {**row, "confidence": span.confidence}


def _listed(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _is_known(confidences: Sequence[float | None]) -> bool:
    return any(one is not None for one in confidences)


def _parse_confidences(
    found: object, values: Mapping[str, str | tuple[str, ...]], source: Source
) -> dict[str, tuple[float | None, ...]]:
    if not isinstance(found, dict) or not found.keys() <= values.keys():
        raise _wrong_type("confidences", found, "an object with some of the fields", source)
    counts = {name: 1 if isinstance(value, str) else len(value) for name, value in values.items()}
    return {name: _parse_numbers(numbers, counts[name], source) for name, numbers in found.items()}


def _parse_numbers(found: object, count: int, source: Source) -> tuple[float | None, ...]:
    """A number in [0, 1] or null for each of `count` values, or a RowError."""
    if (
        not isinstance(found, list)
        or len(found) != count
        or not all(one is None or (isinstance(one, int | float) and 0 <= one <= 1) for one in found)
    ):
        raise _wrong_type("confidences", found, f"a list of {count} numbers from 0 to 1, or null", source)
    return tuple(found)


def parse_strings(key: str, value: object, source: Source) -> tuple[str, ...]:
    """The strings of a list, or a RowError that names the key."""
    foreign = next((item for item in value if not isinstance(item, str)), None) if isinstance(value, list) else value
    if foreign is not None or not isinstance(value, list):
        raise _wrong_type(key, foreign, "a list of strings", source)
    return tuple(value)


def _wrong_type(key: str, value: object, expected: str, source: Source) -> RowError:
    return RowError(f'"{key}" is of type {type(value).__name__}', source=source, expected=expected, fix="correct the row")
