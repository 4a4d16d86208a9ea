"""The score of any kind of task. In: a task, examples with gold, predictions. Out: a `Score`.

It only chooses; what the figures mean stands in the modules of the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction, Problem
from extune.domain.task import ClassificationTask, RecordTask, Task
from extune.errors import DataError
from extune.evaluation.classification_metrics import score_classification
from extune.evaluation.generation_metrics import GenerationScore, TargetLoss, score_generation
from extune.evaluation.metrics import score_extraction
from extune.evaluation.record_metrics import score_record
from extune.evaluation.score import Score
from extune.evaluation.significance import RESAMPLES

Annotations = Mapping[str, Annotation]
Problems = Mapping[str, Sequence[Problem]]
Kind = TypeVar("Kind", Extraction, Fields, Labels, Answer)


def score_predictions(
    task: Task,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    loss: TargetLoss | None = None,
    resamples: int = RESAMPLES,
) -> Score:
    """Score predictions against the gold of their examples.

    Args:
        task: decides what is compared, and how.
        examples: with gold.
        predictions: one for each example.
        loss: of the gold answers under the model, for generation.
        resamples: of the bootstrap; 0 computes no interval.

    Raises:
        DataError: an example has no gold or one of another kind, or ids do not belong together.
    """
    gold = {example.id: require_gold(task, example) for example in examples}
    found = {prediction.example_id: prediction.annotation for prediction in predictions}
    problems = {prediction.example_id: prediction.problems for prediction in predictions}
    score = _SCORERS[task.kind](task, gold, found, problems, resamples)
    return replace(score, loss=loss) if isinstance(score, GenerationScore) else score


def require_gold(task: Task, example: Example) -> Annotation:
    """The example's gold annotation.

    Raises:
        DataError: there is none, or one of another kind of task, or a label that is none of the example's candidates.
    """
    kind = _ANNOTATIONS[task.kind]
    if not isinstance(example.gold, kind):
        raise DataError(
            f"example {example.id!r} has {'no gold' if example.gold is None else type(example.gold).__name__} as gold",
            where=str(example.source or "examples given in memory"),
            expected=f"{kind.__name__}, for task.kind: {task.kind}",
            fix="name a labelled file of this kind of task",
        )
    reason = _find_foreign_labels(task, example)
    if reason is not None:
        raise DataError(
            reason,
            where=str(example.source or f"example {example.id!r}"),
            expected="a label of the task, or of the row's candidates where it has some",
            fix="correct the label or the candidates",
        )
    return example.gold


def _find_foreign_labels(task: Task, example: Example) -> str | None:
    """Why the gold labels cannot be chosen, or None where they can; a task without names allows all."""
    if not isinstance(task, ClassificationTask) or not isinstance(example.gold, Labels):
        return None
    if not task.multi_label and len(example.gold.names) != 1:
        return f"has {len(example.gold.names)} labels; the task takes one"
    allowed = example.candidates or task.names
    foreign = [name for name in example.gold.names if allowed and name not in allowed]
    return f"label {foreign[0]!r} is none of {', '.join(allowed)}" if foreign else None


def require_kind(kind: type[Kind], annotations: Annotations) -> dict[str, Kind]:
    """The annotations, all of one kind.

    Raises:
        DataError: one is of another kind.
    """
    checked: dict[str, Kind] = {}
    for id_, annotation in annotations.items():
        if not isinstance(annotation, kind):
            raise DataError(
                f"prediction {id_!r} is of kind {type(annotation).__name__}",
                where="predictions",
                expected=kind.__name__,
                fix="predict with a run of the same kind of task",
            )
        checked[id_] = annotation
    return checked


def _score_extraction(task: Task, gold: Annotations, found: Annotations, problems: Problems, resamples: int) -> Score:
    return score_extraction(
        require_kind(Extraction, gold), require_kind(Extraction, found), task.names, problems, resamples=resamples
    )


def _score_record(task: Task, gold: Annotations, found: Annotations, problems: Problems, resamples: int) -> Score:
    fields = task.fields if isinstance(task, RecordTask) else {}
    return score_record(require_kind(Fields, gold), require_kind(Fields, found), fields, problems, resamples=resamples)


def _score_classification(task: Task, gold: Annotations, found: Annotations, problems: Problems, resamples: int) -> Score:
    several = isinstance(task, ClassificationTask) and task.multi_label
    return score_classification(
        require_kind(Labels, gold), require_kind(Labels, found), task.names, problems, multi_label=several, resamples=resamples
    )


def _score_generation(_: Task, gold: Annotations, found: Annotations, problems: Problems, resamples: int) -> Score:
    return score_generation(require_kind(Answer, gold), require_kind(Answer, found), problems, resamples=resamples)


_ANNOTATIONS: Mapping[str, type[Annotation]] = {
    "extraction": Extraction,
    "record": Fields,
    "classification": Labels,
    "generation": Answer,
}
_SCORERS: Mapping[str, Callable[[Task, Annotations, Annotations, Problems, int], Score]] = {
    "extraction": _score_extraction,
    "record": _score_record,
    "classification": _score_classification,
    "generation": _score_generation,
}
