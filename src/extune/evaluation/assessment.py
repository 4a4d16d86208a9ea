"""A score and what it has to be read with: baselines, the atlas of its mistakes, test documents that stand in train.

In: examples with their predictions, and a `TrainingReference` where there is one. Out: an `Assessment`. It knows nothing about
files, models and pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.error_atlas import AtlasDocument, ErrorAtlas, build_atlas
from extune.evaluation.metrics import ExtractionScore, score_extraction
from extune.evaluation.training_reference import TrainingReference

NOTHING, MAJORITY, GAZETTEER = "nothing", "majority type", "gazetteer"


@dataclass(frozen=True)
class Overlap:
    """Test documents whose text is also in train.

    Attributes:
        ids: of these documents, in the order of the test set.
        without: the score of the other documents; None where there are no others.
    """

    ids: tuple[str, ...]
    without: ExtractionScore | None

    def __str__(self) -> str:
        rest = "" if self.without is None else f"; F1 without them {self.without.micro.f1:.4f}"
        return f"{len(self.ids)} of the scored texts are also in train{rest}"


@dataclass(frozen=True)
class Assessment:
    """Everything that is said about one set of predictions.

    Attributes:
        score: of the predictions.
        baselines: of `nothing` (no span anywhere) and, where train is known, of `majority type` and `gazetteer`.
        atlas: of the mistakes.
        overlap: None where train is not known, or where no document stands in it.
    """

    score: ExtractionScore
    baselines: Mapping[str, ExtractionScore]
    atlas: ErrorAtlas
    overlap: Overlap | None

    def notes(self) -> tuple[str, ...]:
        """What the score has to be read with, one sentence each."""
        notes = [] if self.overlap is None else [str(self.overlap)]
        if GAZETTEER not in self.baselines:
            notes.append("the training set is not known: no gazetteer, and no search for test texts in it")
        return tuple(notes)


def assess(
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    types: Sequence[str],
    reference: TrainingReference | None = None,
) -> Assessment:
    """Score predictions and what they are compared with.

    Args:
        examples: with gold.
        predictions: one of each example.
        types: order of the tables.
        reference: of the training set; None where it is not known.

    Raises:
        DataError: ids do not belong together.
    """
    score = score_predictions(examples, predictions, types)
    answers = {one.example_id: one for one in predictions}
    documents = [
        AtlasDocument(
            example.id,
            len(example.text),
            require_extraction(example.gold),
            require_extraction(answers[example.id].annotation),
            answers[example.id].problems,
        )
        for example in examples
    ]
    return Assessment(
        score=score,
        baselines=_score_baselines(examples, types, reference),
        atlas=build_atlas(documents, types, None if reference is None else reference.mentions),
        overlap=None if reference is None else _find_overlap(examples, documents, types, reference),
    )


def score_predictions(examples: Sequence[Example], predictions: Sequence[Prediction], types: Sequence[str]) -> ExtractionScore:
    """Only the score of `assess`."""
    return score_extraction(
        {example.id: require_extraction(example.gold) for example in examples},
        {one.example_id: require_extraction(one.annotation) for one in predictions},
        types,
        {one.example_id: one.problems for one in predictions},
    )


def require_extraction(annotation: object) -> Extraction:
    """`annotation` where it is an extraction; anything else is a mistake of the caller."""
    if not isinstance(annotation, Extraction):
        raise TypeError(f"an extraction is scored, not {type(annotation).__name__}")
    return annotation


def _score_baselines(
    examples: Sequence[Example], types: Sequence[str], reference: TrainingReference | None
) -> dict[str, ExtractionScore]:
    gold = {example.id: require_extraction(example.gold) for example in examples}
    answers = {NOTHING: dict.fromkeys(gold, Extraction())}
    if reference is not None:
        for name, lookup in ((MAJORITY, reference.majority), (GAZETTEER, reference.gazetteer)):
            answers[name] = {example.id: lookup.predict(example.text) for example in examples}
    return {name: score_extraction(gold, answer, types) for name, answer in answers.items()}


def _find_overlap(
    examples: Sequence[Example], documents: Sequence[AtlasDocument], types: Sequence[str], reference: TrainingReference
) -> Overlap | None:
    known = {example.id for example in examples if reference.holds(example.text)}
    if not known:
        return None
    rest = [document for document in documents if document.id not in known]
    without = score_extraction(
        {one.id: one.gold for one in rest},
        {one.id: one.predicted for one in rest},
        types,
        {one.id: one.problems for one in rest},
    )
    return Overlap(tuple(one.id for one in documents if one.id in known), without if rest else None)
