"""How sure a model must be of an item for it to be predicted (`selection.min_confidence: auto`): what scores best on dev.

In: dev examples with their predictions, confidences raw. Out: one number, kept in the contract. It knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import Task
from extune.evaluation.scoring import score_predictions
from extune.predicting.sure import leave_out

_STEPS = [step / 50 for step in range(31)]  # 0 to 0.6: beyond it more right items than wrong ones are left out
_FIGURE = "f1"


def choose_min_confidence(task: Task, examples: Sequence[Example], predictions: Sequence[Prediction], metric: str) -> float:
    """The least of the numbers 0, 0.02, ... 0.6 that gives the best score.

    Args:
        task: an extraction or a record.
        examples: with gold.
        predictions: one for each example, of which nothing was left out.
        metric: name of the figure; by loss, which knows no items, `f1` is taken.
    """
    figure = _FIGURE if metric == "loss" else metric

    def score(least: float) -> float:
        kept = [replace(one, annotation=leave_out(one.annotation, least)[0]) for one in predictions]
        return score_predictions(task, examples, kept, resamples=0).dev_figures()[figure]

    return max(_STEPS, key=lambda least: (score(least), -least))
