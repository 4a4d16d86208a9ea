"""`extune evaluate --pred FILE --gold FILE`: the predictions of any tool, scored as extune scores its own.

In: two files, optionally the training set. Out: an assessment, and on request the files that `extune compare` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extune.data.checks import require_unique_ids
from extune.data.implied_task import guess_task
from extune.data.predictions import read_any_gold, read_any_predictions
from extune.domain.task import ExtractionTask
from extune.evaluation.assessment import Assessment, assess
from extune.evaluation.scoring import score_predictions
from extune.evaluation.training_reference import TrainingReference
from extune.files import hash_file
from extune.reporting.scores_folder import write_scores_folder
from extune.runs.manifest import hash_data, now


@dataclass(frozen=True)
class ScoredFiles:
    """What was found; `notes` say how the files were read and what the score has to be read with, a sentence each."""

    assessment: Assessment
    notes: tuple[str, ...]


def score_files(
    predictions: Path,
    gold: Path,
    types: Sequence[str] | None = None,
    *,
    train: Path | None = None,
    out: Path | None = None,
) -> ScoredFiles:
    """Score a file of predictions against a labelled file.

    Args:
        predictions: see `data.predictions`.
        gold: any labelled file.
        types: of an extraction, the allowed ones in the order of the table; None: the gold shows the kind of task, and of an
            extraction the types, by name, while others may be predicted.
        train: labelled file that the tool was trained on, for the baselines and the search for test texts in it.
        out: folder for the reports; None writes none.

    Raises:
        DataError: a file cannot be read, or the two are not about the same texts.
    """
    examples, notes = read_any_gold(gold, types)
    require_unique_ids(examples)
    found = read_any_predictions(predictions, examples, types)
    reference = None if train is None else TrainingReference.fit(read_any_gold(train, None)[0])
    task = ExtractionTask(types=dict.fromkeys(types, "")) if types else guess_task(examples)
    score = score_predictions(task, examples, found.predictions)
    assessment = assess(score, task, examples, found.predictions, reference)
    if out is not None:
        meta = {
            "run": predictions.stem,
            "split": gold.stem,
            "engine": "file",
            "file": str(gold),
            "test_set_hash": hash_data(gold),
            "predictions": str(predictions),
            "predictions_hash": hash_file(predictions),
            "training_set": None if train is None else str(train),
            "notes": [*notes, *found.notes],
            "scored": now(),
        }
        by_id = {one.example_id: one for one in found.predictions}
        write_scores_folder(out, [(example, by_id[example.id]) for example in examples], assessment, meta)
    return ScoredFiles(assessment, (*notes, *found.notes, *assessment.notes()))
