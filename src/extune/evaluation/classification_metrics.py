"""Accuracy, F1, MCC and confusion matrix of a classification, in which no answer can hide.

In: gold and predicted labels by example id, the problems of the predictions. Out: a `ClassificationScore`. It knows nothing
about files, models and pages.

What counts, and how:

* An answer that names no label is wrong (`invalid` counts them); in the confusion matrix and in MCC it is a class of its own.
* `accuracy`: share of the examples whose set of labels is exactly the gold one.
* `micro`: over all labels. Of a task with one label per example every example that is not right counts as one wrong and one
  missed label, so that micro precision, recall and F1 equal the accuracy. Of a task with several, the pieces of an answer
  that became no label count as wrong predictions.
* `macro`: mean F1 of the labels that occur in gold or in predictions, as in scikit-learn.
* `mcc`: Matthews' correlation coefficient for several classes (Gorodkin 2004, R_K); of several labels per example that of
  all yes-or-no decisions together. 0 where it is not defined.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Labels
from extune.domain.prediction import Problem
from extune.evaluation.metrics import PRF
from extune.evaluation.score import UNREAD, require_same_ids, tally_problems
from extune.evaluation.significance import RESAMPLES, bootstrap_interval, bootstrap_mean

INVALID = ""
"""Stands for an answer without label; no label has an empty name."""


@dataclass(frozen=True)
class ClassificationScore:
    """All figures of one test set; the module's docstring defines them.

    Attributes:
        per_label: in the task's order.
        confusion: gold label, predicted label (or `INVALID`) and how often, pairs that do not occur left out; empty where
            examples have several labels.
        invalid: examples without a predicted label that have one in gold.
        interval: 95 % document bootstrap of the headline.
    """

    accuracy: float
    micro: PRF
    macro: float
    mcc: float
    per_label: Mapping[str, PRF]
    confusion: Mapping[str, Mapping[str, int]]
    multi_label: bool
    invalid: int
    interval: tuple[float, float] | None
    documents: int
    problems: Mapping[str, int]
    problem_documents: int

    @property
    def headline(self) -> str:
        """Accuracy; micro F1 where examples have several labels."""
        return "micro.f1" if self.multi_label else "accuracy"

    def figures(self) -> dict[str, float]:
        """The figures that are compared between trainings, by name; labels that do not occur are left out."""
        figures = {
            "accuracy": self.accuracy,
            "micro.f1": self.micro.f1,
            "micro.precision": self.micro.precision,
            "micro.recall": self.micro.recall,
            "macro.f1": self.macro,
            "mcc": self.mcc,
        }
        return figures | {f"label.{name}.f1": prf.f1 for name, prf in self.per_label.items() if not prf.is_empty}

    def dev_figures(self) -> dict[str, float]:
        """What is logged while training."""
        return {"accuracy": self.accuracy, "f1": self.micro.f1, "macro_f1": self.macro}

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; the figures of labels that do not occur are null."""
        nothing = {"precision": None, "recall": None, "f1": None}
        return {
            "accuracy": self.accuracy,
            "micro": self.micro.to_json(),
            "interval": None if self.interval is None else list(self.interval),
            "macro": {"f1": self.macro},
            "mcc": self.mcc,
            "per_label": {name: prf.to_json() | (nothing if prf.is_empty else {}) for name, prf in self.per_label.items()},
            "confusion": {name: dict(row) for name, row in self.confusion.items()},
            "multi_label": self.multi_label,
            "invalid": self.invalid,
            "documents": self.documents,
            "problems": dict(self.problems),
            "problem_documents": self.problem_documents,
        }


def score_classification(
    gold: Mapping[str, Labels],
    predictions: Mapping[str, Labels],
    label_names: Sequence[str],
    problems: Mapping[str, Sequence[Problem]] | None = None,
    *,
    multi_label: bool = False,
    resamples: int = RESAMPLES,
) -> ClassificationScore:
    """Score predicted labels against gold.

    Args:
        gold: by example id; one label each unless `multi_label`.
        predictions: by example id, exactly one for each of gold.
        label_names: the labels in the order of the table; others that occur follow.
        problems: of each prediction, by id; ids without problems may be left out. None: there are none.
        multi_label: examples have any number of labels.
        resamples: of the bootstrap; 0 computes no interval.

    Raises:
        DataError: an example has no prediction, or a prediction or problem belongs to no example.
    """
    problems = problems or {}
    require_same_ids(gold, predictions, problems)
    pairs = [(set(gold[id_].names), set(predictions[id_].names)) for id_ in gold]
    names = list(dict.fromkeys([*label_names, *_names(gold.values()), *_names(predictions.values())]))
    counts = [count_labels(*pair, problems.get(id_, ()), multi_label) for id_, pair in zip(gold, pairs, strict=True)]
    micro = PRF(*(sum(column) for column in zip(*counts, strict=True))) if counts else PRF(0, 0, 0)
    right = [float(expected == found) for expected, found in pairs]
    per_label = {name: _count_label(name, pairs) for name in names}
    occurring = [prf.f1 for prf in per_label.values() if not prf.is_empty]
    confusion = {} if multi_label else _count_confusion(pairs)
    tallied, with_problems = tally_problems(problems.values())
    interval = None
    if counts and resamples:
        interval = bootstrap_interval(counts, resamples) if multi_label else bootstrap_mean(right, resamples)
    return ClassificationScore(
        accuracy=math.fsum(right) / len(right) if right else 1.0,
        micro=micro,
        macro=math.fsum(occurring) / len(occurring) if occurring else micro.f1,
        mcc=correlate(_count_decisions(pairs, names) if multi_label else confusion),
        per_label=per_label,
        confusion=confusion,
        multi_label=multi_label,
        invalid=sum(bool(expected) and not found for expected, found in pairs),
        interval=interval,
        documents=len(pairs),
        problems=tallied,
        problem_documents=with_problems,
    )


def correlate(confusion: Mapping[str, Mapping[str, int]]) -> float:
    """Matthews' correlation coefficient R_K of a confusion matrix, 0 where all gold or all predictions are of one class."""
    in_gold = Counter({name: sum(row.values()) for name, row in confusion.items()})
    in_predicted: Counter[str] = Counter()
    for row in confusion.values():
        in_predicted.update(row)
    total = in_gold.total()
    right = sum(row.get(name, 0) for name, row in confusion.items())
    covariance = right * total - sum(in_gold[name] * in_predicted[name] for name in in_gold)
    spread = math.prod(total**2 - sum(count**2 for count in counts.values()) for counts in (in_gold, in_predicted))
    return covariance / math.sqrt(spread) if spread else 0.0


def _names(annotations: Iterable[Labels]) -> list[str]:
    return [name for annotation in annotations for name in annotation.names]


_Pair = tuple[set[str], set[str]]  # labels in gold, predicted labels


def count_labels(
    expected: set[str], found: set[str], problems: Sequence[Problem], multi_label: bool
) -> tuple[float, float, float]:
    """True positives, false positives and false negatives of one example, as `micro` adds them up."""
    if not multi_label:
        return (1, 0, 0) if expected == found else (0, 1, 1)
    unread = sum(problem.kind in UNREAD for problem in problems)
    return len(expected & found), len(found - expected) + unread, len(expected - found)


def _count_label(name: str, pairs: Sequence[_Pair]) -> PRF:
    found = Counter((name in expected, name in predicted) for expected, predicted in pairs)
    return PRF(found[True, True], found[False, True], found[True, False])


def _count_confusion(pairs: Sequence[_Pair]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for expected, predicted in pairs:
        row = counts.setdefault(min(expected, default=INVALID), {})
        column = min(predicted, default=INVALID)
        row[column] = row.get(column, 0) + 1
    return counts


def _count_decisions(pairs: Sequence[_Pair], names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Confusion matrix of the decisions whether a label belongs to an example."""
    decided = Counter((name in expected, name in predicted) for expected, predicted in pairs for name in names)
    return {row: {column: decided[row == "yes", column == "yes"] for column in ("yes", "no")} for row in ("yes", "no")}
