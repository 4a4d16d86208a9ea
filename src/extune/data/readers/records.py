"""Answers of record rows become fields: a mapping, or JSON in a string, fenced or not.

In: the value of the answer column, the task and the text. Out: the fields that have a value. Absent, null, empty and what
`data.nothing` lists are the same: no value. It knows nothing about files.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from extune.data.readers.base import RowError, quote
from extune.data.readers.columns import RowShape
from extune.data.readers.loose_json import looks_like_json, parse_loose_json
from extune.data.readers.tally import Place
from extune.domain.annotation import Fields, find_repeat
from extune.domain.task import RecordField, RecordTask

_SEPARATORS = re.compile("[；;、，,\n]")


def read_record(task: RecordTask, value: object, text: str, shape: RowShape, place: Place) -> Fields:
    """The fields of an answer, or a RowError.

    Args:
        task: names the fields; other keys are counted and left out.
        value: of the answer column.
        text: that verbatim pieces should occur in; those that do not are kept and counted.
        shape: its `nothing` mean no value, unless the field is an enum that has it.
        place: of the row.
    """
    answers = _read_mapping(value, shape, place)
    values: dict[str, str | tuple[str, ...]] = {}
    for name in answers.keys() - task.fields.keys():
        place.tally.add(f"key {name!r} of the answer is no field of the task and is left out", place.source)
    for name, field in task.fields.items():
        found = _read_field(name, field, answers.get(name), text, (shape, place))
        if found:
            values[name] = found
    return Fields(values)


def _read_mapping(value: object, shape: RowShape, place: Place) -> dict[str, Any]:
    if isinstance(value, str):
        if value.strip() in ("", *shape.nothing):
            return {}
        found = parse_loose_json(value)
        if found is not None:
            place.tally.add("JSON was mended by guessing; compare", place.source, int(found.repaired))
            value = found.value
    if isinstance(value, dict):
        return value
    what = f"the answer {quote(value)}" if isinstance(value, str) else f"the answer, a {type(value).__name__},"
    raise RowError(
        f"{what} is no object with fields",
        source=place.source,
        expected='{"field": "value", "field of pieces": ["piece", ...]}, as an object or as JSON in a string',
        fix="correct the answer",
    )


def _read_field(name: str, field: RecordField, value: object, text: str, how: tuple[RowShape, Place]) -> str | tuple[str, ...]:
    """The value of one field; empty where there is none."""
    shape, place = how
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        meant_as_value = field.kind == "enum" and value in field.of
        if value.strip() in ("", *shape.nothing) and not meant_as_value:
            place.tally.add(f"field {name!r} says nothing and counts as absent", place.source, int(bool(value)))
            return ()
    if value is None:
        return ()
    if field.kind == "verbatim":
        pieces = _read_pieces(name, value, text, how)
        return _require_distinct(name, pieces, place) if field.distinct else pieces
    if isinstance(value, list) and all(isinstance(piece, str) for piece in value):
        place.tally.add(f"a list in field {name!r} is joined by ；", place.source, int(len(value) > 1))
        value = "；".join(piece for piece in value if piece.strip() not in ("", *shape.nothing))
    if not isinstance(value, str):
        raise _wrong_value(name, value, "a string", place)
    if field.kind == "enum" and value and value not in field.of:
        close = difflib.get_close_matches(value, field.of, n=1, cutoff=0.5)
        raise RowError(
            f"field {name!r} is {quote(value)}" + (f", did you mean {close[0]!r}?" if close else ""),
            source=place.source,
            expected="one of " + ", ".join(field.of),
            fix=f"correct the value, or add it to task.fields.{name}.of",
        )
    return value


def _read_pieces(name: str, value: object, text: str, how: tuple[RowShape, Place]) -> tuple[str, ...]:
    """The pieces of a verbatim field. A string is a JSON list, one piece of the text, or several apart by ；;、，, or lines."""
    shape, place = how
    if isinstance(value, str):
        found = parse_loose_json(value) if looks_like_json(value) else None
        if found is not None and isinstance(found.value, list):
            value = found.value
        else:
            pieces = [value] if value in text else [piece.strip() for piece in _SEPARATORS.split(value)]
            place.tally.add(f"a string in field {name!r} is split into a list", place.source, int(len(pieces) > 1))
            value = pieces
    if not isinstance(value, list) or not all(isinstance(piece, str) for piece in value):
        raise _wrong_value(name, value, "a list of strings", place)
    kept = tuple(piece for piece in value if piece.strip() not in ("", *shape.nothing))
    place.tally.add(f"a piece of field {name!r} says nothing and is left out", place.source, len(value) - len(kept))
    missing = sum(piece not in text for piece in kept)
    place.tally.add(f"a piece of verbatim field {name!r} does not occur in its text", place.source, missing)
    return kept


def _require_distinct(name: str, pieces: tuple[str, ...], place: Place) -> tuple[str, ...]:
    repeated = find_repeat(pieces)
    if repeated is not None:
        raise RowError(
            f"field {name!r} lists {quote(repeated)} twice",
            source=place.source,
            expected=f"every piece once: task.fields.{name}.distinct is true",
            fix=f"remove the repeat, or task.fields.{name}.distinct=false",
        )
    return pieces


def _wrong_value(name: str, value: object, expected: str, place: Place) -> RowError:
    return RowError(
        f"field {name!r} is of type {type(value).__name__}", source=place.source, expected=expected, fix="correct the answer"
    )
