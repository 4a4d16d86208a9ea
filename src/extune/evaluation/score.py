"""What the scores of all kinds of tasks have in common.

In: predictions' problems and ids, keys of figures. Out: counts, names, or an error. It knows nothing about the kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from extune.domain.prediction import Problem, ProblemKind
from extune.errors import DataError

UNREAD = frozenset({ProblemKind.UNPARSEABLE, ProblemKind.UNKNOWN_TYPE, ProblemKind.DUPLICATE})
"""Problems that stand for a piece of an answer that became nothing; each counts as a wrong prediction."""
_NAMES = {
    "micro.f1": "F1",
    "micro.precision": "precision",
    "micro.recall": "recall",
    "macro.f1": "macro F1",
    "accuracy": "accuracy",
    "mcc": "MCC",
    "rouge_l": "ROUGE-L",
    "char_f1": "character F1",
    "bleu": "BLEU",
    "perplexity": "perplexity",
    "presence.recall": "presence recall",
    "presence.precision": "presence precision",
    "parseable": "parseable answers",
}


class Score(Protocol):
    """All figures of one test set."""

    @property
    def headline(self) -> str:
        """Name of the figure that a report begins with, one of `figures`; `interval` belongs to it."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % document bootstrap of the headline; None where it was not asked for or there is no document."""

    @property
    def documents(self) -> int:
        """Number of examples."""

    @property
    def problems(self) -> Mapping[str, int]:
        """Number of problems of each kind, zeros included."""

    @property
    def problem_documents(self) -> int:
        """Examples with at least one problem."""

    def figures(self) -> dict[str, float]:
        """The figures that are compared between trainings, by name; those that are not defined are left out."""

    def dev_figures(self) -> dict[str, float]:
        """What is logged while training."""

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""


def name_figure(key: str) -> str:
    """The name of a figure for people."""
    return _NAMES.get(key, key)


def tally_problems(problems: Iterable[Sequence[Problem]]) -> tuple[dict[str, int], int]:
    """Number of problems of each kind, zeros included, and of examples with at least one."""
    documents = list(problems)
    counts = Counter(problem.kind for document in documents for problem in document)
    return {kind.value: counts[kind] for kind in ProblemKind}, sum(map(bool, documents))


def require_same_ids(
    gold: Mapping[str, object], predictions: Mapping[str, object], problems: Mapping[str, Sequence[Problem]]
) -> None:
    """Raise a DataError where an example has no prediction, or a prediction or problem belongs to no example."""
    missing = [id_ for id_ in gold if id_ not in predictions]
    unknown = [id_ for id_ in [*predictions, *problems] if id_ not in gold]
    if not missing and not unknown:
        return
    parts = []
    if missing:
        parts.append(f"{len(missing)} examples have no prediction, the first is {missing[0]!r}")
    if unknown:
        parts.append(f"{len(unknown)} predictions belong to no example, the first is {unknown[0]!r}")
    raise DataError(
        "; ".join(parts),
        where="predictions",
        expected=f"exactly one prediction for each of the {len(gold)} gold examples",
        fix="predict the same file that is scored, and keep its ids",
    )
