"""Label Studio's JSON: `[{"id", "data": {"text"}, "annotations": [{"result": [{"type": "labels", "value": {...}}]}]}]`.

In: a task of an export, or an example. Out: the text with its spans or choices, or a task to import: gold as an annotation, the
predictions of a model as a pre-annotation. Offsets count code points; older versions counted UTF-16 units, which the strings
beside the offsets show. It reads the plain JSON export, not JSON-MIN, and Text, not HyperText, whose offsets are XPaths.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extune.data.readers.base import RowError, quote
from extune.data.readers.exchange.base import (
    CLASSIFICATION,
    EXTRACTION,
    Content,
    Entity,
    Export,
    Reading,
    RowFormat,
    is_generated_id,
    list_of,
    render_values,
    text_of,
)
from extune.data.readers.exchange.offsets import settle_offsets
from extune.domain.annotation import Labels
from extune.domain.example import Example, Source

_TASKS = ("annotations", "completions")  # the second was its name before version 1.0
_ID = "extune_id"  # Label Studio numbers tasks itself and keeps `meta` as it is
_LABELS, _CHOICES = "labels", "choices"
_BOOKKEEPING = (
    "id", "data", "meta", "annotations", "completions", "predictions", "drafts", "created_at", "updated_at", "inner_id",
    "total_annotations", "cancelled_annotations", "total_predictions", "comment_count", "unresolved_comment_count",
    "last_comment_updated_at", "project", "updated_by", "comment_authors", "file_upload", "is_labeled", "overlap",
    "allow_skip",
)  # fmt: skip


class LabelStudio(RowFormat):
    """Tasks with annotations. Holds spans that nest and cross, label names, confidences of predictions, and ids."""

    name = "label-studio"
    kinds = (EXTRACTION, CLASSIFICATION)

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """By its data beside lists of annotations or predictions."""
        return isinstance(row.get("data"), dict) and any(isinstance(row.get(key), list) for key in (*_TASKS, "predictions"))

    def shows_classes(self, row: Mapping[str, Any]) -> bool:
        """By choices about the whole text where no region is labelled."""
        results = [one["result"] for one in _annotations(row) if isinstance(one.get("result"), list)]
        types = [item.get("type") for result in results for item in result if isinstance(item, dict)]
        return _CHOICES in types and _LABELS not in types

    def id_of(self, row: Mapping[str, Any]) -> object:
        """The id that `write_row` left, else the task's number."""
        meta = row.get("meta")
        return meta[_ID] if isinstance(meta, dict) and _ID in meta else row.get("id")

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content:
        """The ground truth of a task, else its first annotation; None as gold where nobody has annotated it."""
        data = row.get("data")
        if not isinstance(data, dict):
            raise RowError(
                '"data" is no object',
                source=source,
                expected='{"data": {"text": "..."}, "annotations": [...]}',
                fix="export as JSON; JSON-MIN and CSV are not read",
            )
        text = text_of(data, _text_key(data, source), source)
        reading.ignore(row, _BOOKKEEPING, source)
        chosen = _choose(row, reading, source)
        if chosen is None:
            return Content(text, None)
        entities: list[Entity] = []
        names: list[str] = []
        for item in list_of(chosen, "result", source):
            _read_result(item, entities, names, reading, source)
        if reading.kind == CLASSIFICATION:
            reading.losses.add("a labelled region has no place beside classes", source, len(entities))
            return Content(text, reading.read_names(names, source))
        reading.losses.add("a choice about the text has no place beside spans", source, len(names))
        return Content(text, reading.read_entities(text, settle_offsets(text, entities, reading, source), source))

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """A task with one annotation or prediction; with neither where the example is not annotated."""
        export.lose_extras(example, holds_confidence=export.model is not None)
        row: dict[str, Any] = {"data": {"text": example.text}}
        if not is_generated_id(example):
            row["meta"] = {_ID: example.id}
        if example.gold is None:
            return row
        result = _write_choices(example.gold) if isinstance(example.gold, Labels) else _write_spans(example, export)
        if export.model is None:
            return {**row, "annotations": [{"result": result}]}
        return {**row, "predictions": [{"model_version": export.model, "result": result}]}

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """Label Studio imports one array, under whatever name."""
        return {path: render_values(self.list_values(export), as_array=True)}


def _annotations(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    values: list[Any] = next((row[key] for key in _TASKS if isinstance(row.get(key), list)), [])
    return [one for one in values if isinstance(one, dict) and not one.get("was_cancelled")]


def _text_key(data: Mapping[str, Any], source: Source) -> str:
    """`text`, or the only key that holds a string."""
    strings = [key for key, value in data.items() if isinstance(value, str)]
    if "text" in data or len(strings) != 1:
        return "text" if "text" in data or not strings else _refuse_keys(strings, source)
    return strings[0]


def _refuse_keys(keys: list[str], source: Source) -> str:
    raise RowError(
        f"several columns hold strings: {', '.join(map(quote, keys))}",
        source=source,
        expected="the text under data.text, or one column",
        fix="rename the column that was annotated to text",
    )


def _choose(row: Mapping[str, Any], reading: Reading, source: Source) -> dict[str, Any] | None:
    found = _annotations(row)
    if not found:
        reading.remarks.add("only predicted, which is no gold", source, int(bool(row.get("predictions"))))
        return None
    chosen = next((one for one in found if one.get("ground_truth")), found[0])
    reading.losses.add(
        "another annotation of the same task is left out (the ground truth, else the first, is read)", source, len(found) - 1
    )
    return chosen


def _read_result(item: Mapping[str, Any], entities: list[Entity], names: list[str], reading: Reading, source: Source) -> None:
    """Add what one item of a result says to the entities or the names; what it says else is counted."""
    value, kind = item.get("value"), item.get("type")
    if kind == _CHOICES and isinstance(value, dict) and isinstance(value.get("choices"), list) and "start" not in value:
        names += [str(name) for name in value["choices"]]
        return
    if kind != _LABELS or not isinstance(value, dict):
        what = "a relation is not read" if kind == "relation" else f"a result of type {quote(str(kind))} is not read"
        reading.losses.add(what, source)
        return
    types = value.get("labels")
    if not types:
        reading.losses.add("a region without label is not read", source)
    for name in types if isinstance(types, list) else [types] * bool(types):
        entities.append({"start": value.get("start"), "end": value.get("end"), "type": name, "text": value.get("text")})


def _write_spans(example: Example, export: Export) -> list[dict[str, Any]]:
    result = []
    for number, span in enumerate(export.spans(example), 1):
        value = {"start": span.start, "end": span.end, "text": span.text, "labels": [span.type]}
        item = {"id": f"s{number}", "from_name": "label", "to_name": "text", "type": _LABELS, "value": value}
        result.append(item if span.confidence is None or export.model is None else {**item, "score": span.confidence})
    return result


def _write_choices(gold: Labels) -> list[dict[str, Any]]:
    value = {"choices": list(gold.names)}
    return [{"id": "c1", "from_name": "choice", "to_name": "text", "type": _CHOICES, "value": value}]
