"""A score and what it has to be read with: baselines, the atlas of its mistakes, test documents that stand in train.

In: a score with its examples and predictions, and a `TrainingReference` where there is one. Out: an `Assessment`. It knows
nothing about files, models and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Annotation, Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ClassificationTask, ExtractionTask, RecordTask, Task
from extune.evaluation.error_atlas import AtlasDocument, ErrorAtlas, build_atlas
from extune.evaluation.score import Score, name_figure
from extune.evaluation.scoring import require_gold, require_kind, score_predictions
from extune.evaluation.training_reference import TrainingReference

NOTHING, MAJORITY, GAZETTEER, MAJORITY_CLASS, LOOKUP = (
    "nothing",
    "majority type",
    "gazetteer",
    "majority class",
    "look-up",
)


@dataclass(frozen=True)
class Overlap:
    """Test documents whose text is also in train.

    Attributes:
        ids: of these documents, in the order of the test set.
        without: the score of the other documents; None where there are no others.
    """

    ids: tuple[str, ...]
    without: Score | None

    def __str__(self) -> str:
        count = f"{len(self.ids)} of the scored texts are also in train"
        if self.without is None:
            return count
        name = self.without.headline
        return f"{count}; {name_figure(name)} without them {self.without.figures()[name]:.4f}"

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"ids": list(self.ids), "without": self.without and self.without.to_json()}


@dataclass(frozen=True)
class Assessment:
    """Everything that is said about one set of predictions.

    Attributes:
        score: of the predictions.
        baselines: of what needs no model. Extraction: `nothing` (no span anywhere) and, where train is known, `majority type`
            and `gazetteer`. Classification: `majority class`, record: `look-up`, where train is known. Generation has
            none.
        atlas: of the mistakes of an extraction; None for other tasks.
        overlap: None where train is not known, or where no document stands in it.
        knows_train: whether there was a training set to compare with.
    """

    score: Score
    baselines: Mapping[str, Score]
    atlas: ErrorAtlas | None = None
    overlap: Overlap | None = None
    knows_train: bool = False

    def notes(self) -> tuple[str, ...]:
        """What the score has to be read with, one sentence each."""
        notes = [] if self.overlap is None else [str(self.overlap)]
        if not self.knows_train:
            notes.append("the training set is not known: no baselines from it, and no search for test texts in it")
        return tuple(notes)


def assess(
    score: Score,
    task: Task,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    reference: TrainingReference | None = None,
) -> Assessment:
    """Put beside a score what it has to be read with.

    Args:
        score: what `score_predictions` found for these examples and predictions.
        task: decides which baselines there are, and whether there is an atlas.
        examples: with gold.
        predictions: one of each example.
        reference: of the training set; None where it is not known.

    Raises:
        DataError: an example has no gold or one of another kind, or ids do not belong together.
    """
    return Assessment(
        score=score,
        baselines=_score_baselines(task, examples, reference),
        atlas=_build_atlas(task, examples, predictions, reference) if isinstance(task, ExtractionTask) else None,
        overlap=None if reference is None else _find_overlap(task, examples, predictions, reference),
        knows_train=reference is not None,
    )


def _score_baselines(task: Task, examples: Sequence[Example], reference: TrainingReference | None) -> dict[str, Score]:
    return {
        name: score_predictions(task, examples, [Prediction(example.id, predict(example), "") for example in examples])
        for name, predict in list_baselines(task, reference).items()
    }


def list_baselines(task: Task, reference: TrainingReference | None) -> dict[str, Callable[[Example], Annotation]]:
    """What predicts without a model, by the names in `Assessment.baselines`."""
    if isinstance(task, RecordTask) and reference is not None:
        lookup = reference.field_lookup
        return {LOOKUP: lambda example: lookup.predict(example.text)}
    if isinstance(task, ClassificationTask) and reference is not None:
        return {MAJORITY_CLASS: reference.majority_class.predict}
    if not isinstance(task, ExtractionTask):
        return {}
    nothing: dict[str, Callable[[Example], Annotation]] = {NOTHING: lambda _: Extraction()}
    if reference is None:
        return nothing
    majority, gazetteer = reference.majority, reference.gazetteer
    return nothing | {
        MAJORITY: lambda example: majority.predict(example.text),
        GAZETTEER: lambda example: gazetteer.predict(example.text),
    }


def _build_atlas(
    task: Task, examples: Sequence[Example], predictions: Sequence[Prediction], reference: TrainingReference | None
) -> ErrorAtlas:
    gold = require_kind(Extraction, {example.id: require_gold(task, example) for example in examples})
    found = require_kind(Extraction, {one.example_id: one.annotation for one in predictions})
    problems = {one.example_id: one.problems for one in predictions}
    documents = [AtlasDocument(one.id, len(one.text), gold[one.id], found[one.id], problems[one.id]) for one in examples]
    return build_atlas(documents, task.names, None if reference is None else reference.mentions)


def _find_overlap(
    task: Task, examples: Sequence[Example], predictions: Sequence[Prediction], reference: TrainingReference
) -> Overlap | None:
    known = {example.id: reference.holds(example) for example in examples}
    rest = [example for example in examples if not known[example.id]]
    if len(rest) == len(examples):
        return None
    answers = [one for one in predictions if not known[one.example_id]]
    ids = tuple(id_ for id_, is_known in known.items() if is_known)
    return Overlap(ids, score_predictions(task, rest, answers) if rest else None)
