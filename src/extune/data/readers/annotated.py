"""extune's own JSONL of records, classes and answers: `{"text": ..., "fields" | "labels" | "answer": ...}`.

In: the text of a file, one JSON object per line, optionally with "id", "instruction", "candidates" (label names of the row) and
"history" (pairs of question and answer). Out: one row per object, and notes. `write_example` writes such a row, and rows of
spans too. It knows nothing about encodings and prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extune.data.readers.base import Row, RowError, numbered_lines, quote, require_text
from extune.data.readers.spans import parse_entities, parse_id, parse_object, parse_ungrounded
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example, Source
from extune.domain.task import ClassificationTask, Task
from extune.prompts.formats import build_format

ANSWER_KEYS: Mapping[str, str] = {
    "extraction": "entities",
    "record": "fields",
    "classification": "labels",
    "generation": "answer",
}
"""Under which key the annotation of each kind of task stands."""
_ROW_KEYS = frozenset({"id", "text", "instruction", "candidates", "history", "ungrounded", *ANSWER_KEYS.values()})


def read_rows(path: Path, text: str, task: Task | None) -> tuple[list[Row], list[str]]:
    """One row per JSON object, and notes.

    Args:
        path: for ids and messages.
        text: the whole file, decoded, without byte order mark.
        task: whose names and values are the allowed ones; None allows all, of the kind that each row shows.
    """
    rows: list[Row] = []
    ignored: Counter[str] = Counter()
    lines_by_id: dict[str, int] = {}
    for number, line in numbered_lines(text):
        if not line.strip():
            continue
        source = Source(str(path), number)
        try:
            row = parse_object(line, source)
            example = parse_context(row, f"{path.stem}-{len(rows) + 1}", lines_by_id, source)
            gold = _parse_gold(row, example, task, source)
            rows.append(
                Example(example.id, example.text, gold, example.instruction, example.history, example.candidates, source)
            )
            ignored.update(row.keys() - _ROW_KEYS)
        except RowError as error:
            rows.append(error)
    return rows, [f"key {key!r} ignored, {count} times" for key, count in sorted(ignored.items())]


def parse_context(row: Mapping[str, Any], default_id: str, lines_by_id: dict[str, int], source: Source) -> Example:
    """All of a row but its annotation, or a RowError."""
    if "text" not in row:
        raise RowError("key 'text' is missing", source=source, expected='{"text": "..."}', fix="add it")
    instruction = row.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise _wrong_type("instruction", instruction, "a string", source)
    return Example(
        parse_id(row, default_id, lines_by_id, source),
        require_text(row["text"], source),
        None,
        instruction,
        _parse_history(row.get("history"), source),
        _parse_candidates(row.get("candidates"), source),
        source,
    )


def parse_annotation(key: str, row: Mapping[str, Any], text: str, source: Source) -> Annotation:
    """The annotation under one of `ANSWER_KEYS`, whatever its names are, or a RowError."""
    value = row[key]
    if key == "entities":
        return Extraction(parse_entities(value, text, None, source), parse_ungrounded(row, source))
    if key == "labels":
        return Labels((value,) if isinstance(value, str) else _parse_strings(key, value, source))
    if key == "answer":
        if not isinstance(value, str):
            raise _wrong_type(key, value, "a string", source)
        return Answer(value)
    if not isinstance(value, dict):
        raise _wrong_type(key, value, "an object of fields", source)
    return Fields(
        {
            name: content if isinstance(content, str) else _parse_strings(f"fields.{name}", content, source)
            for name, content in value.items()
            if content is not None
        }
    )


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
    """The part of a row that holds the annotation; `ungrounded` only where there are mentions without place."""
    if isinstance(annotation, Fields):
        values = annotation.values.items()
        return {"fields": {name: value if isinstance(value, str) else list(value) for name, value in values}}
    if isinstance(annotation, Labels):
        return {"labels": list(annotation.names)}
    if isinstance(annotation, Answer):
        return {"answer": annotation.text}
    entities = {"entities": [_write_span(span) for span in annotation.spans]}
    ungrounded = [{"type": mention.type, "text": mention.text} for mention in annotation.ungrounded]
    return {**entities, "ungrounded": ungrounded} if ungrounded else entities


def _write_span(span: Span) -> dict[str, Any]:
    row = {"start": span.start, "end": span.end, "type": span.type, "text": span.text}
    return row if span.confidence is None else {**row, "confidence": span.confidence}


def _parse_gold(row: Mapping[str, Any], example: Example, task: Task | None, source: Source) -> Annotation:
    """The gold annotation; the task's answer format must be able to hold it."""
    keys = [key for key in ANSWER_KEYS.values() if key in row]
    wanted = keys[:1] if task is None else [ANSWER_KEYS[task.kind]]
    if not wanted or wanted[0] not in keys:
        raise RowError(
            f"there is no annotation; the keys are: {', '.join(map(quote, row)) or 'none'}",
            source=source,
            expected=f'"{wanted[0]}"' if wanted else "one of " + ", ".join(ANSWER_KEYS.values()),
            fix="add it",
        )
    gold = parse_annotation(wanted[0], row, example.text, source)
    reason = None if task is None else _find_misfit(task, example, gold)
    if reason is not None:
        raise RowError(reason, source=source, expected="an annotation of the task", fix="correct the row, or the task section")
    return gold


def _find_misfit(task: Task, example: Example, gold: Annotation) -> str | None:
    """Why the task, narrowed to the row's candidates, does not allow the annotation; None where it does."""
    if isinstance(task, ClassificationTask):
        if not example.candidates and not task.label_names:
            return "the row has no candidates, and task.label_names is empty"
        task = task.narrow(example.candidates) if example.candidates else task
    return build_format(task.answer_formats[0]).find_unrepresentable(task, example.text, gold)


def _parse_candidates(value: object, source: Source) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = _parse_strings("candidates", value, source)
    repeated = [name for name in names if names.count(name) > 1]
    if len(names) < 2 or repeated or not all(names):
        what = f"{quote(repeated[0])} stands twice" if repeated else f"there are {len(names)}"
        raise RowError(
            f'"candidates": {what}', source=source, expected="at least two different label names", fix="correct the list"
        )
    return names


def _parse_history(value: object, source: Source) -> tuple[tuple[str, str], ...]:
    turns = [] if value is None else value
    if not isinstance(turns, list):
        raise _wrong_type("history", value, "a list of [question, answer]", source)
    parsed = [_parse_strings("history", turn, source) for turn in turns]
    if any(len(turn) != 2 for turn in parsed):
        raise RowError(
            '"history" has a turn that is no pair', source=source, expected="[question, answer] each", fix="correct it"
        )
    return tuple((question, answer) for question, answer in parsed)


def _parse_strings(key: str, value: object, source: Source) -> tuple[str, ...]:
    foreign = next((item for item in value if not isinstance(item, str)), None) if isinstance(value, list) else value
    if foreign is not None or not isinstance(value, list):
        raise _wrong_type(key, foreign, "a list of strings", source)
    return tuple(value)


def _wrong_type(key: str, value: object, expected: str, source: Source) -> RowError:
    return RowError(f'"{key}" is of type {type(value).__name__}', source=source, expected=expected, fix="correct the row")
