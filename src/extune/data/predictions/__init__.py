"""Predictions and gold of any tool: which shape a file has is decided here, what it means in the other files of this room.

In: a file and, for predictions, the gold examples. Out: one prediction for each example, and notes. What cannot be read is a
problem of its prediction, which the scores count; a file that does not belong to the gold is an error. Shapes of other tools
are those of extractions; records, classes and answers are read from extune's own files only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extune.data.implied_task import guess_task
from extune.data.predictions.answers import read_text_answers
from extune.data.predictions.objects import count_relations, name_shape, read_object, unreadable, unwrap
from extune.data.predictions.pairing import pair_rows
from extune.data.predictions.rows import AnswerRow, Piece, ground
from extune.data.readers import RowShape, bio, choose_reader, read_examples
from extune.data.readers.base import RowError, numbered_lines
from extune.data.readers.exchange import FOREIGN
from extune.data.readers.tables import find_encoding
from extune.data.splits import read_file
from extune.data.writers import read_predictions
from extune.domain.annotation import Extraction
from extune.domain.example import Example, Source
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.files import read_text
from extune.prompts.formats.base import make_problem
from extune.recipe.sections import DataSection

__all__ = ["ForeignPredictions", "read_any_gold", "read_any_predictions"]

_COLUMNS, _OWN, _TEXT_ANSWERS = "token-label columns", "extune", "LLaMA-Factory"


@dataclass(frozen=True)
class ForeignPredictions:
    """Predictions in the order of the gold examples, and what a user may want to know about the reading, a sentence each."""

    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...]


def read_any_predictions(path: Path, examples: Sequence[Example], names: Sequence[str] | None) -> ForeignPredictions:
    """The predictions of any tool for these examples.

    Args:
        path: JSONL, one JSON array, or token-label columns.
        examples: the gold.
        names: types of the task; mentions of others are problems. None allows all (in answers that are text: those of gold).

    Raises:
        DataError: the file is missing, empty or not text, or is not about these examples.
    """
    if not isinstance(examples[0].gold, Extraction):
        return _read_own(path)
    text = read_text(path).removeprefix("\ufeff")
    values = _load_values(text)
    shape = _COLUMNS if values is None else _name_shape(values)
    if shape == _OWN:
        return _read_own(path)
    notes = []
    if values is None:
        rows = _read_columns(path, text)
    elif shape == _TEXT_ANSWERS:
        rows, answer_format = read_text_answers(str(path), values, examples, names or guess_task(examples).names)
        notes.append(f"answers read as {answer_format}")
    else:
        rows = [_read_value(line, value) for line, value in values]
        relations = sum(count_relations(value) for _, value in values)
        notes += [f"relations of {relations} mentions are not read"] if relations else []
    if not rows:
        raise DataError("holds no predictions", where=str(path), expected="at least one", fix="check the path")
    paired, by = pair_rows(str(path), rows, examples)
    predictions, moved = [], 0
    for row, example in zip(paired, examples, strict=True):
        grounded = ground(row, example.text, names)
        predictions.append(Prediction(example.id, grounded.annotation, row.completion, grounded.problems))
        moved += grounded.moved
    notes.insert(0, f"predictions read as {shape}, paired with gold by {by}")
    if moved:
        notes.append(f"{moved} mentions did not stand at their offsets and were searched in the text")
    return ForeignPredictions(tuple(predictions), tuple(notes))


def read_any_gold(path: Path, names: Sequence[str] | None) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Gold examples in any of the shapes that say their text, and notes.

    Args:
        path: as in `read_any_predictions`, or a file or folder of another tool (`data.readers.exchange`).
        names: allowed types; None allows all.

    Raises:
        DataError: a row cannot be read whole: gold is never guessed. A mention that is not in its text stays, as ungrounded.
    """
    task = None if names is None else ExtractionTask(types=dict.fromkeys(names, ""))
    if path.is_dir() or choose_reader("auto", path, find_encoding(path), task, RowShape()) in FOREIGN:
        result = read_file(DataSection(), path, task)
        return result.examples, result.notes
    values = _load_values(read_text(path).removeprefix("\ufeff"))
    if values is None or _is_extunes_own(values):
        result = read_examples(path, task=task)
        return result.examples, result.notes
    examples = []
    for number, (line, value) in enumerate(values, 1):
        examples.append(_read_gold_row(_read_value(line, value), f"{path.stem}-{number}", Source(str(path), line), names))
    lost = sum(len(example.gold.ungrounded) for example in examples if isinstance(example.gold, Extraction))
    notes = [f"gold read as {_name_shape(values)}"]
    if lost:
        notes.append(f"{lost} gold mentions are not in their text; they count as missed")
    return tuple(examples), tuple(notes)


def _read_own(path: Path) -> ForeignPredictions:
    return ForeignPredictions(tuple(read_predictions(path).values()), ("predictions read as extune's own",))


def _read_gold_row(row: AnswerRow, default_id: str, source: Source, names: Sequence[str] | None) -> Example:
    if row.text is None:
        raise RowError(
            "has no text", source=source, expected='gold with its texts, under the key "text"', fix="join the texts to the file"
        )
    grounded = ground(row, row.text, names)
    wrong = [problem for problem in grounded.problems if problem.kind is not ProblemKind.UNGROUNDED]
    if wrong:
        raise RowError(
            f"{wrong[0].kind} in gold: {wrong[0].detail}",
            source=source,
            expected="gold that can be read whole",
            fix="correct the row",
        )
    return Example(row.id or default_id, row.text, grounded.annotation, source=source)


def _load_values(text: str) -> list[tuple[int, object]] | None:
    """Line and JSON value of each row, a torn line as a string; None where the file is not JSON."""
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(text), 1))
        except ValueError:
            pass  # one array a line
    rows: list[tuple[int, object]] = []
    readable = False
    for number, line in numbered_lines(text):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = line
        readable = readable or isinstance(unwrap(value), dict)
        rows.append((number, value))
    return rows if readable else None


def _name_shape(values: Sequence[tuple[int, object]]) -> str:
    """The shape of the first row that shows one: an empty answer by type may be of any."""
    shapes = []
    for _, value in values:
        row = unwrap(value)
        if isinstance(row, dict):
            if "decoding" in row and "completion" in row:
                return _OWN
            shapes.append(name_shape(row))
            if shapes[-1] != "strings by type":
                break
    return shapes[-1]


def _is_extunes_own(values: Sequence[tuple[int, object]]) -> bool:
    """True where rows are what the readers `spans` and `rows` read, which say more about mistakes."""
    rows = [row for row in (unwrap(value) for _, value in values) if isinstance(row, dict)]
    entities = rows[0].get("entities")
    if isinstance(entities, list):
        return all(isinstance(entity, dict) and "type" in entity for entity in entities)
    labels = [row["labels"] for row in rows if row.get("labels")]  # an empty list may also be doccano's, of spans
    if labels and all(_are_names(value) for value in labels):
        return True
    return isinstance(rows[0].get("fields"), dict) or isinstance(rows[0].get("answer"), str)


def _are_names(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _read_value(line: int, value: object) -> AnswerRow:
    return read_object(line, value) if isinstance(unwrap(value), dict) else unreadable(line, str(value))


def _read_columns(path: Path, text: str) -> list[AnswerRow]:
    rows = []
    for sentence in bio.read_lenient(path, text):
        if isinstance(sentence, RowError):
            rows.append(unreadable(sentence.line, sentence.what))
            continue
        pieces = tuple(Piece(span.type, span.text, span.start) for span in sentence.spans)
        problems: list[Problem] = [make_problem(ProblemKind.UNPARSEABLE, string) for string in sentence.illegal]
        rows.append(AnswerRow(sentence.line, None, sentence.text, pieces, tuple(problems)))
    return rows
