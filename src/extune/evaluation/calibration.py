"""Raw confidences become probabilities of being right, and a threshold above which few items are wrong.

In: verdicts, that is confidences with whether the item was right. Out: a calibrator; a threshold with what it promises, or why
there is none. It knows nothing about files, models and tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from extune.evaluation.reliability import Floats, Verdict

_EDGE = 1e-9  # nearest that a confidence may come to 0 and 1 before its logit is taken
_FAR = 500.0  # a logit beyond which the exponential would overflow
_STEPS = 100
_FOLDS = 5
_CURVE_POINTS = 200
_GRID = 100  # thresholds that are tried: each keeps one more hundredth of the fitting half
_STARTS = (0.1, 0.25, 0.5, 0.75)
LEAST_COVERAGE = 0.05
DOUBT = 0.1
"""Share of calibrations of which the promise of a threshold may fail."""
_DOUBT_EACH = DOUBT / len(_STARTS)


class Calibrator(BaseModel):
    """From a raw confidence to the probability of being right; never decreasing.

    Attributes:
        method: `temperature`: the logit is multiplied by `slope` (1 / temperature) and `bias` is added (Platt 1999; Guo et al.
            2017). `isotonic`: linear between `knots` (Zadrozny and Elkan 2002).
        knots: raw confidence and probability, ascending in both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["temperature", "isotonic"]
    slope: float = 1.0
    bias: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, raw: float) -> float:
        """The probability that an item of this raw confidence is right."""
        return float(self.apply(np.array([raw]))[0])

    def apply(self, raw: Floats) -> Floats:
        """The same for many."""
        if self.method == "isotonic":
            places, values = zip(*self.knots, strict=True)
            between: Floats = np.interp(raw, np.array(places), np.array(values))
            return between
        return _logistic(self.slope * _logit(raw) + self.bias)

    def calibrate(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The verdicts with calibrated confidences."""
        raw, right = _arrays(verdicts)
        return [Verdict(float(value), bool(is_right)) for value, is_right in zip(self.apply(raw), right, strict=True)]


def fit_calibrator(groups: Sequence[Sequence[Verdict]]) -> Calibrator:
    """The better of temperature and isotonic, by their squared error on folds that they were not fitted on.

    Args:
        groups: verdicts of items of one text together, so that no text is on both sides of a fold; at least one verdict in all.
    """
    errors = dict.fromkeys((fit_temperature, fit_isotonic), 0.0)
    for fold in range(min(_FOLDS, len(groups))):
        rest = [one for number, group in enumerate(groups) if number % _FOLDS != fold for one in group]
        held = [one for number, group in enumerate(groups) if number % _FOLDS == fold for one in group]
        if rest and held:
            raw, right = _arrays(held)
            for fit in errors:
                errors[fit] += float(((fit(rest).apply(raw) - right) ** 2).sum())
    best = min(errors, key=lambda fit: errors[fit])
    return best([one for group in groups for one in group])


def fit_temperature(verdicts: Sequence[Verdict]) -> Calibrator:
    """Slope and bias of the logit by maximum likelihood, with Platt's targets, which keep both finite.

    Newton's method; a slope that would be negative (the model is the surer the more it is wrong) becomes 0: everything gets the
    share that is right.
    """
    raw, right = _arrays(verdicts)
    logits = _logit(raw)
    positives = right.sum()
    targets = np.where(right > 0, (positives + 1) / (positives + 2), 1 / (len(right) - positives + 2))
    columns = np.column_stack([logits, np.ones_like(logits)])
    weights = np.zeros(2)
    for _ in range(_STEPS):
        probabilities = _logistic(columns @ weights)
        gradient = columns.T @ (probabilities - targets)
        spread = probabilities * (1 - probabilities)
        step = np.linalg.solve(columns.T @ (columns * spread[:, None]) + _EDGE * np.eye(2), gradient)
        weights -= np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < _EDGE:
            break
    slope, bias = map(float, weights)
    if slope < 0:
        slope, bias = 0.0, float(_logit(targets.mean(keepdims=True))[0])
    return Calibrator(method="temperature", slope=slope, bias=bias)


def fit_isotonic(verdicts: Sequence[Verdict]) -> Calibrator:
    """The never decreasing function of least squares, by pooling adjacent violators (Ayer et al. 1955)."""
    raw, right = _arrays(verdicts)
    values, members = np.unique(raw, return_inverse=True)
    counts = np.bincount(members)
    shares = np.bincount(members, weights=right) / counts
    blocks: list[tuple[float, float, int, float]] = []  # lowest and highest raw confidence, items, share that is right
    for value, count, share in zip(values.tolist(), counts.tolist(), shares.tolist(), strict=True):
        block = value, value, count, share
        while blocks and blocks[-1][3] >= block[3]:
            low, _, before, known = blocks.pop()
            total = before + block[2]
            block = low, block[1], total, (before * known + block[2] * block[3]) / total
        blocks.append(block)
    knots = dict.fromkeys((place, share) for low, high, _, share in blocks for place in (low, high))
    return Calibrator(method="isotonic", knots=tuple(knots))


class RiskPoint(BaseModel):
    """What is kept at a threshold: its share of all items, and the share of the kept that is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float
    coverage: float
    risk: float


def trace_risk(verdicts: Sequence[Verdict]) -> tuple[RiskPoint, ...]:
    """The risk-coverage curve, surest first; ties are kept together, and of many points some hundred stay."""
    ordered = sorted(verdicts, key=lambda one: -one.confidence)
    points, wrong = [], 0
    for number, one in enumerate(ordered, 1):
        wrong += not one.right
        if number == len(ordered) or ordered[number].confidence < one.confidence:
            points.append(RiskPoint(threshold=one.confidence, coverage=number / len(ordered), risk=wrong / number))
    step = max(1, len(points) // _CURVE_POINTS)
    return (*points[: len(points) - 1 : step], points[-1])


class Selection(BaseModel):
    """A threshold and what was seen of it on items that it was not fitted on.

    Attributes:
        max_risk: share of the kept items that may be wrong.
        threshold: least confidence of what is kept; None where nothing can be promised.
        items, kept, wrong: of the selection half: all, those at or above the threshold, those of them that are wrong.
        bound: no more than this share of the kept is wrong, except in `DOUBT` of such calibrations.
        refusal: why there is no threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_risk: float
    threshold: float | None
    items: int
    kept: int = 0
    wrong: int = 0
    bound: float | None = None
    refusal: str = ""

    @property
    def coverage(self) -> float:
        """Share of the items that is kept."""
        return self.kept / self.items

    @property
    def risk(self) -> float:
        """Share of the kept items that is wrong."""
        return self.wrong / self.kept if self.kept else 0.0


@dataclass(frozen=True)
class _Counted:
    """Items of one half in order of confidence, with how many of the surest are wrong."""

    confidences: Floats
    wrong: Floats

    def above(self, threshold: float) -> tuple[int, int]:
        """Items at or above the threshold, and those of them that are wrong."""
        kept = int(np.searchsorted(-self.confidences, -threshold, side="right"))
        return kept, int(self.wrong[kept])


def select_threshold(fitted: Sequence[Verdict], held: Sequence[Verdict], max_risk: float) -> Selection:
    """The lowest threshold above which at most `max_risk` of the items are wrong, with `1 - DOUBT` certainty.

    Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052) with fixed-sequence testing from several starts: each
    threshold's hypothesis "more than `max_risk` of the kept are wrong" is tested by the binomial tail. The thresholds, and the
    shares of items at which the sequences begin, are those of the fitting half; from each start thresholds fall until one is
    not rejected. Every start may fail with an equal part of `DOUBT`, so all that were rejected hold together. Items count as
    independent.

    Args:
        fitted: of the half that the calibrator was fitted on.
        held: of the other half.
        max_risk: in (0, 1).
    """
    first, second = _count(fitted), _count(held)
    chosen: float | None = None
    for start in _STARTS:
        for share in range(round(start * _GRID), _GRID + 1):
            threshold = float(first.confidences[max(0, share * len(fitted) // _GRID - 1)])
            if _binomial_tail(*second.above(threshold), max_risk) > _DOUBT_EACH:
                break
            chosen = threshold if chosen is None else min(chosen, threshold)
    if chosen is None:
        return Selection(max_risk=max_risk, threshold=None, items=len(held), refusal=_explain(first, second))
    kept, wrong = second.above(chosen)
    if kept < LEAST_COVERAGE * len(held):
        refusal = f"only {kept / len(held):.1%} of the items could be kept, less than {LEAST_COVERAGE:.0%}"
        return Selection(max_risk=max_risk, threshold=None, items=len(held), refusal=refusal)
    bound = upper_bound(kept, wrong)
    return Selection(max_risk=max_risk, threshold=chosen, items=len(held), kept=kept, wrong=wrong, bound=bound)


def _explain(first: _Counted, second: _Counted) -> str:
    """How many of the surest items are wrong."""
    shown = []
    for start in _STARTS[:2]:
        kept, wrong = second.above(float(first.confidences[max(0, round(start * len(first.confidences)) - 1)]))
        shown.append(f"{wrong} of the {kept} surest")
    return f"of {len(second.confidences)} held-out items {' and '.join(shown)} are wrong"


def upper_bound(count: int, wrong: int) -> float:
    """The one-sided Clopper-Pearson bound: the largest share of wrong items that `wrong` of `count` do not refute."""
    low, high = wrong / count, 1.0
    while high - low > _EDGE:
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial_tail(count, wrong, middle) > _DOUBT_EACH else (low, middle)
    return high


def _binomial_tail(count: int, wrong: int, risk: float) -> float:
    """How probable at most `wrong` wrong of `count` are where each is wrong with probability `risk`; 1 for none at all."""
    terms = (
        math.lgamma(count + 1)
        - math.lgamma(number + 1)
        - math.lgamma(count - number + 1)
        + number * math.log(risk)
        + (count - number) * math.log1p(-risk)
        for number in range(wrong + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def _count(verdicts: Sequence[Verdict]) -> _Counted:
    ordered = sorted(verdicts, key=lambda one: -one.confidence)
    confidences, right = _arrays(ordered)
    return _Counted(confidences, np.concatenate([[0.0], np.cumsum(1 - right)]))


def _arrays(verdicts: Sequence[Verdict]) -> tuple[Floats, Floats]:
    """Confidences, and 1 for right and 0 for wrong."""
    return np.array([one.confidence for one in verdicts]), np.array([one.right for one in verdicts], dtype=np.float64)


def _logit(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, _EDGE, 1 - _EDGE)
    return np.log(inside) - np.log1p(-inside)


def _logistic(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(logits, -_FAR, _FAR)))
