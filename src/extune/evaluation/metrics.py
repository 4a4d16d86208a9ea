"""Precision, recall and F1 of an extraction, counted so that nothing a model wrote can be dropped.

In: gold and predicted annotations by example id, and the problems of the predictions. Out: an `ExtractionScore`.
It knows nothing about files, models and pages.

What counts, and how:

* **strict** (`micro`, `macro`, `per_type`): a predicted span is right where start, end and type are those of a gold span.
* **text-strict**: multiset of (document, type, text); offsets do not matter, ungrounded mentions take part as text.
* **partial**: spans of one type paired one to one for the largest credit: 1 for the same place, 1/2 for an overlap.
* **boundary**: multiset of (document, start, end); types do not matter.
* A mention that is not in the text is a false positive. So is every piece of an answer that became no span: a part that could
  not be read, a mention of a type that the task does not have, a mention written more often than it occurs (`unusable`). These
  belong to no type and therefore count in the four totals only. An answer that is missing altogether misses all its gold.
* Nothing in gold and nothing predicted is right: precision, recall and F1 are 1. Where only one side is empty, they are 0.
* `macro` is the mean F1 of the types that occur in gold or in predictions; a type that was only invented counts 0.
* A document is exact where all its gold is found and nothing else was written; one that the model never answered is not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Extraction, Mention
from extune.domain.prediction import Problem, ProblemKind
from extune.evaluation.matching import Comparison, compare_spans, count_common, sum_partial_credit
from extune.evaluation.score import UNREAD, Score, require_same_ids
from extune.evaluation.significance import RESAMPLES, bootstrap_interval


@dataclass(frozen=True)
class PRF:
    """Counts of right, invented and missed items, and what follows from them.

    `tp` is a sum of credits in the partial mode, so all three may be halves there.
    """

    tp: float
    fp: float
    fn: float

    @property
    def is_empty(self) -> bool:
        """True where there is neither gold nor a prediction."""
        return self.tp + self.fp + self.fn == 0

    @property
    def precision(self) -> float:
        """Share of the predicted items that are right."""
        return self._share(self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the gold items that were found."""
        return self._share(self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 1.0 if self.is_empty else 2 * self.tp / (2 * self.tp + self.fp + self.fn)

    def _share(self, total: float) -> float:
        if self.is_empty:
            return 1.0
        return self.tp / total if total else 0.0

    def to_json(self) -> dict[str, float]:
        """Counts and figures."""
        return {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True)
class TypeRow:
    """One line of a per-type table; the figures are None where the type is neither in gold nor predicted."""

    name: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ExtractionScore:
    """All figures of one test set; the module's docstring defines them.

    Attributes:
        micro: strict, over all types.
        macro: mean strict F1 of the types that occur.
        per_type: strict, in the task's order.
        interval: 95 % document bootstrap of micro F1; None where it was not asked for or there is no document.
        documents: number of examples; exact_documents: those without any mistake.
        gold_spans: spans (and mentions) of the gold.
        predicted_spans: spans that the predictions place in their texts.
        ungrounded: predicted mentions that are not in their text.
        unusable: pieces of answers that became no span.
        problems: number of problems of each kind, zeros included; problem_documents: examples with at least one.
    """

    micro: PRF
    macro: float
    per_type: Mapping[str, PRF]
    text_strict: PRF
    partial: PRF
    boundary: PRF
    interval: tuple[float, float] | None
    documents: int
    exact_documents: int
    gold_spans: int
    predicted_spans: int
    ungrounded: int
    unusable: int
    problems: Mapping[str, int]
    problem_documents: int

    @property
    def headline(self) -> str:
        """Strict micro F1."""
        return "micro.f1"

    @property
    def document_accuracy(self) -> float:
        """Share of the documents that are exact; 1 where there is none."""
        return self.exact_documents / self.documents if self.documents else 1.0

    def rows(self) -> tuple[TypeRow, ...]:
        """The per-type table, in the task's order."""
        return tuple(
            TypeRow(name, int(prf.tp + prf.fn), int(prf.tp + prf.fp), None, None, None)
            if prf.is_empty
            else TypeRow(name, int(prf.tp + prf.fn), int(prf.tp + prf.fp), prf.precision, prf.recall, prf.f1)
            for name, prf in self.per_type.items()
        )

    def figures(self) -> dict[str, float]:
        """The figures that are compared between trainings, by name; types that do not occur are left out."""
        figures = {
            "micro.f1": self.micro.f1,
            "micro.precision": self.micro.precision,
            "micro.recall": self.micro.recall,
            "macro.f1": self.macro,
            "text_strict.f1": self.text_strict.f1,
            "partial.f1": self.partial.f1,
            "boundary.f1": self.boundary.f1,
            "document_accuracy": self.document_accuracy,
        }
        return figures | {f"type.{name}.f1": prf.f1 for name, prf in self.per_type.items() if not prf.is_empty}

    def dev_figures(self) -> dict[str, float]:
        """What is logged while training."""
        return {"f1": self.micro.f1, "precision": self.micro.precision, "recall": self.micro.recall}

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; the figures of types that do not occur are null."""
        nothing = {"precision": None, "recall": None, "f1": None}
        return {
            "micro": self.micro.to_json(),
            "interval": None if self.interval is None else list(self.interval),
            "macro": {"f1": self.macro},
            "text_strict": self.text_strict.to_json(),
            "partial": self.partial.to_json(),
            "boundary": self.boundary.to_json(),
            "per_type": {name: prf.to_json() | (nothing if prf.is_empty else {}) for name, prf in self.per_type.items()},
            "documents": self.documents,
            "exact_documents": self.exact_documents,
            "document_accuracy": self.document_accuracy,
            "gold_spans": self.gold_spans,
            "predicted_spans": self.predicted_spans,
            "ungrounded": self.ungrounded,
            "unusable": self.unusable,
            "problems": dict(self.problems),
            "problem_documents": self.problem_documents,
        }


def score_extraction(
    gold: Mapping[str, Extraction],
    predictions: Mapping[str, Extraction],
    types: Sequence[str],
    problems: Mapping[str, Sequence[Problem]] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> ExtractionScore:
    """Score predictions against gold.

    Args:
        gold: annotation of each example, by id.
        predictions: annotation of each example; exactly the ids of `gold`.
        types: order of the per-type table; types that occur but are not listed follow, sorted by name.
        problems: of each prediction, by id; ids without problems may be left out. None: there are none.
        resamples: of the bootstrap; 0 leaves the interval out, which saves time while training.

    Raises:
        DataError: an example has no prediction, or a prediction or problem belongs to no example.
    """
    problems = problems or {}
    documents = count_documents(gold, predictions, problems)
    micro = _add(document.strict for document in documents)
    per_type = _sum_types(types, documents)
    occurring = [prf.f1 for prf in per_type.values() if not prf.is_empty]
    kinds = Counter(problem.kind for found in problems.values() for problem in found)
    counts = [(int(document.strict.tp), int(document.strict.fp), int(document.strict.fn)) for document in documents]
    return ExtractionScore(
        micro=micro,
        macro=math.fsum(occurring) / len(occurring) if occurring else micro.f1,
        per_type=per_type,
        text_strict=_add(document.text_strict for document in documents),
        partial=_add(document.partial for document in documents),
        boundary=_add(document.boundary for document in documents),
        interval=bootstrap_interval(counts, resamples) if counts and resamples else None,
        documents=len(documents),
        exact_documents=sum(document.is_exact for document in documents),
        gold_spans=sum(len(annotation.spans) + len(annotation.ungrounded) for annotation in gold.values()),
        predicted_spans=sum(len(annotation.spans) for annotation in predictions.values()),
        ungrounded=sum(len(annotation.ungrounded) for annotation in predictions.values()),
        unusable=sum(kinds[kind] for kind in UNREAD),
        problems={str(kind): kinds[kind] for kind in ProblemKind},
        problem_documents=sum(bool(found) for found in problems.values()),
    )


def count_documents(
    gold: Mapping[str, Extraction],
    predictions: Mapping[str, Extraction],
    problems: Mapping[str, Sequence[Problem]] | None = None,
) -> list[DocumentCounts]:
    """What `score_extraction` adds up: the counts of each document, in the order of `gold`.

    Raises:
        DataError: as in `score_extraction`.
    """
    problems = problems or {}
    require_same_ids(gold, predictions, problems)
    return [_count_document(gold[id_], predictions[id_], problems.get(id_, ())) for id_ in gold]


@dataclass(frozen=True)
class MeanDeviation:
    """Mean and sample standard deviation (n - 1) of one figure; the deviation of a single value is None."""

    mean: float
    deviation: float | None
    count: int


def aggregate_scores(scores: Sequence[Score]) -> dict[str, MeanDeviation]:
    """Mean and deviation over trainings with different seeds, for each of the scores' `figures`.

    A type's F1 is averaged over the scores in which the type occurs; `count` says how many these are.
    """
    values: dict[str, list[float]] = {}
    for score in scores:
        for name, figure in score.figures().items():
            values.setdefault(name, []).append(figure)
    return {name: _average(figures) for name, figures in values.items()}


def _average(figures: Sequence[float]) -> MeanDeviation:
    count = len(figures)
    mean = math.fsum(figures) / count
    squares = math.fsum((figure - mean) ** 2 for figure in figures)
    return MeanDeviation(mean, math.sqrt(squares / (count - 1)) if count > 1 else None, count)


@dataclass(frozen=True)
class DocumentCounts:
    """Counts of one document in every mode; `per_type` is strict and holds the types that occur in it."""

    strict: PRF
    text_strict: PRF
    partial: PRF
    boundary: PRF
    per_type: Mapping[str, PRF]
    is_exact: bool


def _count_document(gold: Extraction, predicted: Extraction, problems: Sequence[Problem]) -> DocumentCounts:
    """Counts of one document. Mentions without offsets are unmatched in every mode that compares offsets."""
    unusable = sum(problem.kind in UNREAD for problem in problems)
    gold_total = len(gold.spans) + len(gold.ungrounded)
    predicted_total = len(predicted.spans) + len(predicted.ungrounded) + unusable

    def total(credit: float) -> PRF:
        return PRF(credit, predicted_total - credit, gold_total - credit)

    comparison = compare_spans(gold, predicted)
    strict = total(len(comparison.found))
    answered = all(problem.kind is not ProblemKind.TOO_LONG for problem in problems)
    return DocumentCounts(
        strict=strict,
        text_strict=total(count_common(_mentions(gold), _mentions(predicted))),
        partial=total(sum_partial_credit(comparison)),
        boundary=total(count_common(_places(gold), _places(predicted))),
        per_type=_count_types(gold, predicted, comparison),
        is_exact=answered and strict.fp == strict.fn == 0,
    )


def _count_types(gold: Extraction, predicted: Extraction, comparison: Comparison) -> dict[str, PRF]:
    """Strict counts of each type that occurs in the document."""
    found = Counter(span.type for span in comparison.found)
    in_gold = Counter(mention.type for mention in _mentions(gold))
    in_predicted = Counter(mention.type for mention in _mentions(predicted))
    return {
        name: PRF(found[name], in_predicted[name] - found[name], in_gold[name] - found[name]) for name in in_gold | in_predicted
    }


def _mentions(annotation: Extraction) -> list[Mention]:
    return [Mention(span.type, span.text) for span in annotation.spans] + list(annotation.ungrounded)


def _places(annotation: Extraction) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in annotation.spans]


def _add(counts: Iterable[PRF]) -> PRF:
    parts = list(counts)
    return PRF(sum(prf.tp for prf in parts), sum(prf.fp for prf in parts), sum(prf.fn for prf in parts))


def _sum_types(types: Sequence[str], documents: Sequence[DocumentCounts]) -> dict[str, PRF]:
    """Counts by type: the listed ones in their order, then the others by name."""
    parts: dict[str, list[PRF]] = {name: [] for name in types}
    for name in sorted({name for document in documents for name in document.per_type} - set(types)):
        parts[name] = []
    for document in documents:
        for name, prf in document.per_type.items():
            parts[name].append(prf)
    return {name: _add(prfs) for name, prfs in parts.items()}
