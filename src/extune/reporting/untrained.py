"""The score of the base before training, where it was written beside the scores of a run.

In: the folder that `extune evaluate --base` or the demo wrote. Out: a baseline, if it is of the same test set. It loads no
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from extune.domain.example import Example
from extune.domain.task import Task
from extune.evaluation.score import Score
from extune.evaluation.scoring import score_predictions
from extune.reporting.scores_folder import REPORT, read_scores_folder

BASE_ENGINE = "base"
"""The engine under whose name the scores of the untrained base are kept."""

_NAME = "untrained base"


def score_untrained(folder: Path, task: Task, examples: Sequence[Example]) -> dict[str, Score]:
    """The untrained base's score on these examples, by name; empty where it was never scored on them.

    Args:
        folder: of the base's scores; it need not exist.
        task: of the run.
        examples: the test set, with gold.

    Raises:
        RunError: a file in the folder is missing or corrupted.
        DataError: its predictions or gold have a wrong row.
    """
    if not (folder / REPORT).is_file():
        return {}
    scores = read_scores_folder(folder)
    wanted, found = ({one.id: (one.text, one.gold) for one in several} for several in (examples, scores.examples))
    return {_NAME: score_predictions(task, scores.examples, scores.predictions)} if wanted == found else {}
