"""A folder of scores: predictions, gold and reports of one split, complete in itself.

In: examples, predictions and their assessment. Out: the folder, and what later commands (`report`, `compare`) read of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extune.data.readers import read_examples
from extune.data.readers.own_rows import write_example
from extune.data.writers import prediction_to_row, read_predictions, write_rows
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.errors import RunError
from extune.evaluation.assessment import Assessment
from extune.reporting.background import Background
from extune.reporting.reports import write_score_report
from extune.runs.run_dir import read_json

PREDICTIONS, GOLD, REPORT = "predictions.jsonl", "gold.jsonl", "report.json"


@dataclass(frozen=True)
class ScoresFolder:
    """What stands in a folder of scores.

    Attributes:
        report: `report.json` as it is.
        meta: its entry `meta`.
        examples: with gold.
        predictions: in the order of the examples.
    """

    path: Path
    report: Mapping[str, Any]
    meta: Mapping[str, Any]
    examples: tuple[Example, ...]
    predictions: tuple[Prediction, ...]


def write_scores_folder(
    folder: Path,
    documents: Sequence[tuple[Example, Prediction]],
    assessment: Assessment,
    meta: Mapping[str, object],
    background: Background | None = None,
) -> None:
    """Write predictions, gold and the three reports.

    Args:
        folder: is created where it does not exist.
        documents: every example with its prediction.
        assessment: of these.
        meta: see `reports.write_score_report`.
        background: of the run that predicted.
    """
    write_rows(folder / PREDICTIONS, [prediction_to_row(prediction, example.text) for example, prediction in documents])
    write_rows(folder / GOLD, [write_example(example) for example, _ in documents])
    write_score_report(folder, assessment=assessment, meta=meta, documents=documents, background=background)


def read_scores_folder(folder: Path) -> ScoresFolder:
    """Read what `write_scores_folder` wrote.

    Raises:
        RunError: nothing was scored here, or a file is missing or corrupted.
        DataError: predictions or gold have a wrong row, or an example has no prediction.
    """
    report, meta = read_json(folder / REPORT), read_meta(folder)
    for name in (GOLD, PREDICTIONS):
        if not (folder / name).is_file():
            raise _incomplete(folder / name, "file not found")
    examples = read_examples(folder / GOLD).examples
    predictions = read_predictions(folder / PREDICTIONS)
    lacking = [example.id for example in examples if example.id not in predictions]
    if lacking or len(predictions) != len(examples):
        first = f", the first is {lacking[0]!r}" if lacking else ""
        raise _incomplete(
            folder / PREDICTIONS,
            f"{len(predictions)} predictions for {len(examples)} examples, {len(lacking)} have none{first}",
        )
    return ScoresFolder(folder, report, meta, examples, tuple(predictions[example.id] for example in examples))


def read_meta(folder: Path) -> dict[str, Any]:
    """What `report.json` says about where its scores come from.

    Raises:
        RunError: nothing was scored here, or the file is corrupted.
    """
    meta = read_json(folder / REPORT).get("meta")
    if not isinstance(meta, dict):
        raise _incomplete(folder / REPORT, "meta is missing")
    return meta


def _incomplete(place: Path, what: str) -> RunError:
    return RunError(what, where=str(place), expected="scores that extune wrote", fix="extune evaluate writes them again")
