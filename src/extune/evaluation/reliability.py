"""Whether confidences are as often right as they say. In: confidences with verdicts. Out: bins and one figure.

It knows nothing about where confidences come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction

_BINS = 10


@dataclass(frozen=True)
class ConfidenceBin:
    """Predictions whose confidence is in [low, high), the last bin including 1."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """Bins that hold a prediction, and the expected calibration error (Naeini et al. 2015).

    Attributes:
        bins: ascending; `confidence` is the mean, `right` the share that is right.
        error: mean distance of the two, each bin weighted by its count.
        without: predictions that have no confidence.
    """

    bins: tuple[ConfidenceBin, ...]
    error: float
    without: int

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"bins": [asdict(one) for one in self.bins], "error": self.error, "without": self.without}


def measure_reliability(documents: Sequence[tuple[Example, Prediction]]) -> Reliability | None:
    """Compare the confidence of predicted spans with how often they are right (strict); None where no span has one."""
    judged: list[tuple[float, bool]] = []
    without = 0
    for example, prediction in documents:
        if not isinstance(example.gold, Extraction) or not isinstance(prediction.annotation, Extraction):
            continue
        gold = {span.key for span in example.gold.spans}
        for span in prediction.annotation.spans:
            if span.confidence is None:
                without += 1
            else:
                judged.append((span.confidence, span.key in gold))
    return sort_into_bins(judged, without) if judged else None


def sort_into_bins(judged: Sequence[tuple[float, bool]], without: int = 0) -> Reliability:
    """The reliability of (confidence, is right) pairs, of which there is at least one."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for confidence, is_right in judged:
        members[min(int(confidence * _BINS), _BINS - 1)].append((confidence, is_right))
    bins = tuple(
        ConfidenceBin(
            low=number / _BINS,
            high=(number + 1) / _BINS,
            count=len(found),
            confidence=math.fsum(confidence for confidence, _ in found) / len(found),
            right=sum(is_right for _, is_right in found) / len(found),
        )
        for number, found in enumerate(members)
        if found
    )
    error = math.fsum(one.count * abs(one.confidence - one.right) for one in bins) / len(judged)
    return Reliability(bins, error, without)
