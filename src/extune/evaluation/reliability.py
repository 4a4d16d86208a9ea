"""Whether confidences are as often right as they say. In: predictions with gold. Out: bins, the calibration error, its band.

Bins hold equally many items each, so that no bin is empty and none is noise. Even where every confidence is exactly the
probability of being right, the error of finitely many items is not zero: the band says how large it is then.
It knows nothing about where confidences come from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction

BINS = 10
_SIMULATIONS = 2000
_TOGETHER = 1 << 22  # random numbers drawn at once
_QUANTILES = (0.025, 0.5, 0.975)
_SEED = 17

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """A predicted mention, value or label: how sure the model was, and whether gold has it."""

    confidence: float
    right: bool


@dataclass(frozen=True)
class ConfidenceBin:
    """Items whose confidences are neighbours; `low` and `high` are the least and the greatest of them."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """Bins of equally many items, and the expected calibration error (Naeini et al. 2015; equal mass: Nguyen, O'Connor 2015).

    Attributes:
        bins: ascending; `confidence` is the mean, `right` the share that is right.
        error: mean distance of the two, each bin weighted by its count.
        band: 2.5 %, 50 % and 97.5 % quantile of the error of a perfectly calibrated predictor with these confidences.
        without: predicted items that have no confidence.
    """

    bins: tuple[ConfidenceBin, ...]
    error: float
    band: tuple[float, float, float]
    without: int

    @property
    def is_inside(self) -> bool:
        """Whether nothing speaks against perfect calibration: the error is not above the band."""
        return self.error <= self.band[2]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "items": sum(one.count for one in self.bins),
            "bins": [asdict(one) for one in self.bins],
            "error": self.error,
            "band": list(self.band),
            "without": self.without,
        }


def measure_reliability(documents: Sequence[tuple[Example, Prediction]]) -> Reliability | None:
    """Compare the confidences of predicted items with how often they are right; None where no item has one."""
    verdicts, without = judge_items(documents)
    return sort_into_bins(verdicts, without) if verdicts else None


def judge_items(documents: Sequence[tuple[Example, Prediction]]) -> tuple[list[Verdict], int]:
    """A verdict on every item that has a confidence, and how many have none.

    A span is right where gold has one of the same start, end and type; a piece of a verbatim list where gold's list has it as
    often; any other value and a label where gold has the same. Free answers have no items.
    """
    verdicts, without = [], 0
    for example, prediction in documents:
        for confidence, right in _judge(example.gold, prediction.annotation):
            if confidence is None:
                without += 1
            else:
                verdicts.append(Verdict(confidence, right))
    return verdicts, without


def _judge(gold: Annotation | None, predicted: Annotation) -> Iterator[tuple[float | None, bool]]:
    if isinstance(gold, Extraction) and isinstance(predicted, Extraction):
        keys = {span.key for span in gold.spans}
        yield from ((span.confidence, span.key in keys) for span in predicted.spans)
    elif isinstance(gold, Fields) and isinstance(predicted, Fields):
        left = Counter((name, piece) for name, piece, _ in gold.items())
        for name, piece, confidence in predicted.items():
            yield confidence, left[name, piece] > 0
            left[name, piece] -= 1
    elif isinstance(gold, Labels) and isinstance(predicted, Labels):
        yield from ((confidence, name in gold.names) for name, confidence in predicted.items())


def sort_into_bins(verdicts: Sequence[Verdict], without: int = 0) -> Reliability:
    """The reliability of verdicts, of which there is at least one."""
    ordered = sorted(verdicts, key=lambda one: one.confidence)
    confidences = np.array([one.confidence for one in ordered])
    right = np.array([one.right for one in ordered], dtype=np.float64)
    edges = _bin_edges(len(ordered))
    bins = tuple(
        ConfidenceBin(
            low=float(confidences[start]),
            high=float(confidences[end - 1]),
            count=int(end - start),
            confidence=float(confidences[start:end].mean()),
            right=float(right[start:end].mean()),
        )
        for start, end in pairwise(edges)
    )
    error = math.fsum(one.count * abs(one.confidence - one.right) for one in bins) / len(ordered)
    return Reliability(bins, error, simulate_band(confidences), without)


def simulate_band(confidences: Floats) -> tuple[float, float, float]:
    """2.5 %, 50 % and 97.5 % quantile of the calibration error where every item is right with exactly its confidence.

    Args:
        confidences: ascending.
    """
    random = np.random.default_rng(_SEED)
    edges = np.array(_bin_edges(len(confidences)))
    sums = np.add.reduceat(confidences, edges[:-1])
    errors = []
    rows = max(1, _TOGETHER // len(confidences))
    for start in range(0, _SIMULATIONS, rows):
        drawn = random.random((min(rows, _SIMULATIONS - start), len(confidences))) < confidences
        right = np.add.reduceat(drawn.astype(np.float64), edges[:-1], axis=1)
        errors.append(np.abs(right - sums).sum(axis=1) / len(confidences))
    low, middle, high = np.quantile(np.concatenate(errors), _QUANTILES)
    return float(low), float(middle), float(high)


def _bin_edges(count: int) -> list[int]:
    """Where bins of equally many items begin, and where the last ends; fewer bins where there are fewer items."""
    bins = min(BINS, count)
    return [count * number // bins for number in range(bins + 1)]
