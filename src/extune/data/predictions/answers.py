"""Answers that are text, as LLaMA-Factory writes them: `{"prompt": ..., "label": ..., "predict": ...}`.

In: rows in the order of the gold examples. Out: answer rows. How the answers are written is not said in the file; the `label`
column shows it: the answer format (extune's own, or JSON of spans or of strings by type, fenced or not) that reads most labels
without problem reads the predictions too. It knows nothing about scores.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from extune.data.predictions.objects import read_answer, unreadable
from extune.data.predictions.rows import AnswerRow, Piece, split_pieces
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.prompts.formats.base import AnyFormat, make_problem

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_FREE_JSON = "JSON"
_PROBE = 10  # characters of a text that its prompt must hold
_HELD_SHARE = 0.9  # a prompt may have been cut, or its white space changed by decoding

_Answer = tuple[tuple[Piece, ...], tuple[Problem, ...]]


def read_text_answers(
    path: str, rows: Sequence[tuple[int, object]], examples: Sequence[Example], names: Sequence[str]
) -> tuple[list[AnswerRow], str]:
    """The rows, in order, and the name of the format that was found.

    Args:
        path: for messages.
        rows: line and JSON value of each row.
        examples: as many, in the same order.
        names: types of the task.

    Raises:
        DataError: there are more or fewer rows than examples, or the prompts are those of other texts.
    """
    _require_same_texts(path, rows, examples)
    task = ExtractionTask(types=dict.fromkeys(names, ""))
    labels = [_get(value, "label") for _, value in rows]
    nothing = _find_nothing(labels, examples)
    readers: dict[str, AnyFormat | None] = {one.name: one for one in EXTRACTION_FORMATS} | {_FREE_JSON: None}

    def rank(name: str) -> tuple[int, int]:
        """Labels that are read without problem; pieces that they hold."""
        answers = [
            _parse(task, readers[name], example.text, label)
            for label, example in zip(labels, examples, strict=True)
            if label != nothing
        ]
        return sum(not problems for _, problems in answers), sum(len(pieces) for pieces, _ in answers)

    best = max(readers, key=rank)
    found = [
        _read_row(task, readers[best], example, (line, value), nothing)
        for (line, value), example in zip(rows, examples, strict=True)
    ]
    return found, best


def _read_row(
    task: ExtractionTask, reader: AnyFormat | None, example: Example, row: tuple[int, object], nothing: str | None
) -> AnswerRow:
    line, value = row
    answer = _get(value, "predict")
    if answer is None:
        return unreadable(line, str(value))
    pieces, problems = ((), ()) if answer.strip() == nothing else _parse(task, reader, example.text, answer.strip())
    return AnswerRow(line, example.id, None, pieces, problems, answer)


def _parse(task: ExtractionTask, reader: AnyFormat | None, text: str, answer: str | None) -> _Answer:
    if answer is None:
        return (), (make_problem(ProblemKind.UNPARSEABLE, ""),)
    fenced = _FENCE.fullmatch(answer)
    content = fenced[1] if fenced else answer
    if reader is not None:
        parsed = reader.parse_completion(task, text, content)
        return tuple(Piece(item.type, item.text, item.source_start) for item in parsed.items), parsed.problems
    try:
        value: Any = json.loads(content)
    except ValueError:
        return (), (make_problem(ProblemKind.UNPARSEABLE, answer),)
    return split_pieces(read_answer(value))


def _find_nothing(labels: Sequence[str | None], examples: Sequence[Example]) -> str | None:
    """The answer to texts without entities: the most frequent label of the examples whose gold is empty."""
    empty = Counter(
        label
        for label, example in zip(labels, examples, strict=True)
        if label is not None and isinstance(example.gold, Extraction) and not example.gold.spans
    )
    return empty.most_common(1)[0][0] if empty else None


def _get(value: object, key: str) -> str | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found.strip() if isinstance(found, str) and key == "label" else found if isinstance(found, str) else None


def _require_same_texts(path: str, rows: Sequence[tuple[int, object]], examples: Sequence[Example]) -> None:
    if len(rows) != len(examples):
        raise DataError(
            f"holds {len(rows)} rows, gold has {len(examples)} examples",
            where=path,
            expected="one row for each example, in the same order: these rows have no id",
            fix="score the file that was predicted; predicting on several processes may lose or repeat rows",
        )
    prompts = [_get(value, "prompt") for _, value in rows]
    held = sum(
        prompt is None or example.text[:_PROBE].strip() in prompt for prompt, example in zip(prompts, examples, strict=True)
    )
    if held < _HELD_SHARE * len(rows):
        raise DataError(
            f"{len(rows) - held} of {len(rows)} prompts do not hold the text of the gold example in the same place",
            where=path,
            expected="the rows of the gold file, in its order",
            fix="score the file that was predicted, unshuffled",
        )
