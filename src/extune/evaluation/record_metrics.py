"""Precision, recall and F1 of a record over its values, each compared as its field's kind says.

In: gold and predicted fields by example id, the problems of the predictions. Out: a `RecordScore`. It knows nothing about
files, models and pages.

What counts, and how:

* A **leaf** is one value: each piece of a verbatim list, the value of an enum, a free text. Absent and empty are the same, so
  that an answer without content has no leaf and finds none.
* A leaf earns a **credit** from 0 to 1: pieces of verbatim lists are matched one to one as strings (multisets), enums must
  be equal, a free text earns its character ROUGE-L. Precision is credits by predicted leaves, recall credits by gold leaves.
* `micro` adds up all leaves, and as wrong predictions the pieces of an answer that became no value (`unread`). `macro` is the
  mean F1 of the fields that occur in gold or in predictions.
* **Presence** looks only at whether a field has a value: right where gold and prediction both have one.
* Of free texts, ROUGE-L and character F1 are also given as means over the examples in which gold or prediction have a value.
* An answer is `parseable` where every piece of it could be read and it was not cut off or left out.
* Nothing in gold and nothing predicted is right: precision, recall and F1 are 1. Where only one side is empty, they are 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Fields
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import RecordField
from extune.evaluation.matching import count_common
from extune.evaluation.metrics import PRF
from extune.evaluation.score import UNREAD, require_same_ids, tally_problems
from extune.evaluation.significance import RESAMPLES, bootstrap_interval
from extune.evaluation.text_overlap import char_f1, rouge_l

_NOT_PARSEABLE = frozenset({ProblemKind.UNPARSEABLE, ProblemKind.CUT_OFF, ProblemKind.TOO_LONG})


@dataclass(frozen=True)
class FieldScore:
    """Figures of one field.

    Attributes:
        kind: `verbatim`, `enum` or `text`.
        leaves: credits of its values.
        presence: documents in which it has a value.
        rouge_l, char_f1: means over the examples with a value on either side; None for other kinds and where there is none.
    """

    kind: str
    leaves: PRF
    presence: PRF
    rouge_l: float | None
    char_f1: float | None

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; figures of a field that does not occur are null."""
        nothing = {"precision": None, "recall": None, "f1": None} if self.leaves.is_empty else {}
        return {
            "kind": self.kind,
            **self.leaves.to_json(),
            **nothing,
            "presence": self.presence.to_json(),
            "rouge_l": self.rouge_l,
            "char_f1": self.char_f1,
        }


@dataclass(frozen=True)
class RecordScore:
    """All figures of one test set; the module's docstring defines them.

    Attributes:
        micro: over all leaves; `interval` is its 95 % document bootstrap.
        macro: mean F1 of the fields that occur.
        presence: over all fields.
        fields: in the task's order.
        parseable: share of the answers.
        exact_documents: examples in which every value is right and nothing else was written.
        unread: pieces of answers that became no value.
    """

    micro: PRF
    macro: float
    presence: PRF
    fields: Mapping[str, FieldScore]
    parseable: float
    interval: tuple[float, float] | None
    documents: int
    exact_documents: int
    unread: int
    problems: Mapping[str, int]
    problem_documents: int

    @property
    def headline(self) -> str:
        """Micro F1 over leaves."""
        return "micro.f1"

    def figures(self) -> dict[str, float]:
        """The figures that are compared between trainings, by name; fields that do not occur are left out."""
        figures = {
            "micro.f1": self.micro.f1,
            "micro.precision": self.micro.precision,
            "micro.recall": self.micro.recall,
            "macro.f1": self.macro,
            "presence.f1": self.presence.f1,
            "presence.precision": self.presence.precision,
            "presence.recall": self.presence.recall,
            "parseable": self.parseable,
        }
        return figures | {f"field.{name}.f1": one.leaves.f1 for name, one in self.fields.items() if not one.leaves.is_empty}

    def dev_figures(self) -> dict[str, float]:
        """What is logged while training."""
        return {"f1": self.micro.f1, "macro_f1": self.macro, "presence_recall": self.presence.recall}

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "micro": self.micro.to_json(),
            "interval": None if self.interval is None else list(self.interval),
            "macro": {"f1": self.macro},
            "presence": self.presence.to_json(),
            "fields": {name: one.to_json() for name, one in self.fields.items()},
            "parseable": self.parseable,
            "documents": self.documents,
            "exact_documents": self.exact_documents,
            "unread": self.unread,
            "problems": dict(self.problems),
            "problem_documents": self.problem_documents,
        }


def score_record(
    gold: Mapping[str, Fields],
    predictions: Mapping[str, Fields],
    fields: Mapping[str, RecordField],
    problems: Mapping[str, Sequence[Problem]] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> RecordScore:
    """Score predicted records against gold.

    Args:
        gold: by example id.
        predictions: by example id, exactly one for each of gold.
        fields: of the task.
        problems: of each prediction, by id; ids without problems may be left out. None: there are none.
        resamples: of the bootstrap; 0 computes no interval.

    Raises:
        DataError: an example has no prediction, or a prediction or problem belongs to no example.
    """
    problems = problems or {}
    require_same_ids(gold, predictions, problems)
    documents = [compare_record(gold[id_].values, predictions[id_].values, fields, problems.get(id_, ())) for id_ in gold]
    scores = {name: _sum_field(field.kind, [one.fields[name] for one in documents]) for name, field in fields.items()}
    micro = _add([one.total for one in documents])
    occurring = [one.leaves.f1 for one in scores.values() if not one.leaves.is_empty]
    tallied, with_problems = tally_problems(problems.values())
    counts = [(one.total.tp, one.total.fp, one.total.fn) for one in documents]
    return RecordScore(
        micro=micro,
        macro=math.fsum(occurring) / len(occurring) if occurring else micro.f1,
        presence=_add([one.presence for one in scores.values()]),
        fields=scores,
        parseable=_share_parseable([problems.get(id_, ()) for id_ in gold]),
        interval=bootstrap_interval(counts, resamples) if counts and resamples else None,
        documents=len(documents),
        exact_documents=sum(one.is_exact for one in documents),
        unread=sum(tallied[kind.value] for kind in UNREAD),
        problems=tallied,
        problem_documents=with_problems,
    )


@dataclass(frozen=True)
class FieldComparison:
    """One field of one document; the two last are None where it is no free text or absent on both sides."""

    leaves: PRF
    presence: PRF
    rouge_l: float | None
    char_f1: float | None


@dataclass(frozen=True)
class RecordComparison:
    """One document: each field, all values together with the pieces that became none, and whether nothing is wrong."""

    fields: Mapping[str, FieldComparison]
    total: PRF
    is_exact: bool


_Value = str | tuple[str, ...] | None


def compare_record(
    gold: Mapping[str, str | tuple[str, ...]],
    predicted: Mapping[str, str | tuple[str, ...]],
    fields: Mapping[str, RecordField],
    problems: Sequence[Problem],
) -> RecordComparison:
    """Compare one predicted record with its gold."""
    compared = {name: _compare(field.kind, gold.get(name), predicted.get(name)) for name, field in fields.items()}
    unread = sum(problem.kind in UNREAD for problem in problems)
    total = _add([*(one.leaves for one in compared.values()), PRF(0, unread, 0)])
    answered = all(problem.kind is not ProblemKind.TOO_LONG for problem in problems)
    return RecordComparison(compared, total, answered and math.isclose(total.fp + total.fn, 0, abs_tol=1e-9))


def _compare(kind: str, gold: _Value, predicted: _Value) -> FieldComparison:
    presence = PRF(bool(gold and predicted), bool(predicted and not gold), bool(gold and not predicted))
    overlap = characters = None
    if kind == "verbatim":
        in_gold, in_predicted = len(gold or ()), len(predicted or ())
        credit: float = count_common(gold or (), predicted or ())
    else:
        in_gold, in_predicted = int(bool(gold)), int(bool(predicted))
        credit = float(bool(gold) and gold == predicted)
    if kind == "text" and (gold or predicted):
        overlap, characters = (measure(str(gold or ""), str(predicted or "")) for measure in (rouge_l, char_f1))
        credit = overlap if gold and predicted else 0.0
    return FieldComparison(PRF(credit, in_predicted - credit, in_gold - credit), presence, overlap, characters)


def _sum_field(kind: str, parts: Sequence[FieldComparison]) -> FieldScore:
    return FieldScore(
        kind,
        _add([part.leaves for part in parts]),
        _add([part.presence for part in parts]),
        _mean([part.rouge_l for part in parts if part.rouge_l is not None]),
        _mean([part.char_f1 for part in parts if part.char_f1 is not None]),
    )


def _add(parts: Sequence[PRF]) -> PRF:
    return PRF(*(math.fsum(getattr(part, name) for part in parts) for name in ("tp", "fp", "fn")))


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _share_parseable(problems: Sequence[Sequence[Problem]]) -> float:
    """1 where there is no answer."""
    wrong = sum(any(problem.kind in _NOT_PARSEABLE for problem in found) for found in problems)
    return 1 - wrong / len(problems) if problems else 1.0
