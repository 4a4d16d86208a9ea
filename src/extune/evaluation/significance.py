"""How far a score, or the difference of two, could be off because the test set is a sample.

In: true positives, false positives and false negatives per document. Out: intervals and p-values. It knows nothing about
spans. Documents with equal counts are interchangeable, so everything is drawn over the distinct rows of counts: the
distribution of drawing documents one by one, independent of their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_CHUNK = 250  # resamples that are held in memory together
_TOLERANCE = 1e-12


def bootstrap_mean(
    values: Sequence[float], resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of one figure per document (accuracy, ROUGE-L) when documents are drawn anew.

    Args:
        values: of each document, at least one.
        resamples: number of bootstrap test sets.
        seed: equal seeds and values give equal intervals.
        level: probability mass between the two ends.
    """
    if not values:
        raise ValueError("an interval needs at least one document")
    distinct, frequency = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(values), frequency / len(values), size=resamples)
    low, high = np.quantile(draws @ distinct / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_interval(
    counts: Sequence[tuple[float, float, float]], resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of micro F1 when documents are drawn with replacement (Efron and Tibshirani 1993, chapter 13).

    Args:
        counts: (true positives, false positives, false negatives) of each document, at least one; credits may be fractions.
        resamples: number of bootstrap test sets.
        seed: equal seeds and counts give equal intervals.
        level: probability mass between the two ends.
    """
    if not counts:
        raise ValueError("an interval needs at least one document")
    distinct, frequency = np.unique(np.asarray(counts), axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(counts), frequency / len(counts), size=resamples)
    true_positives, false_positives, false_negatives = (draws @ distinct).T
    doubled = 2 * true_positives
    total = doubled + false_positives + false_negatives
    # Nothing in gold and nothing predicted is right, as in metrics.PRF.
    scores = np.divide(doubled, total, out=np.ones(resamples), where=total > 0)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class F1Difference:
    """Second minus first F1 on the same documents.

    Attributes:
        first: F1 of the first; `second` of the second.
        low: of the bootstrap interval of the difference; `high` its other end.
        p_value: two-sided, of the approximate randomisation: how often a difference as large arises where it is a coin's
            choice, document by document, which of the two systems gave which answer.
    """

    first: float
    second: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        """Positive where the second is better."""
        return self.second - self.first


def compare_f1(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> list[F1Difference]:
    """Compare two systems on the same documents, for several groups at once (all types, each type).

    The interval is a percentile bootstrap over documents, both systems drawn together; the p-value is that of approximate
    randomisation (Noreen 1989; Yeh 2000), `(1 + as large) / (1 + resamples)`.

    Args:
        first: D documents x G groups x 3 (true positives, false positives, false negatives).
        second: the same for the other system, the documents in the same order.
        resamples: of the bootstrap, and as many of the randomisation.
        seed: equal seeds and counts give equal results.
        level: probability mass between the two ends.
    """
    if first.shape != second.shape or first.ndim != 3 or not len(first):
        raise ValueError("both need D documents x G groups x 3 counts, at least one document")
    documents, groups, _ = first.shape
    rows = np.concatenate([first.reshape(documents, -1), second.reshape(documents, -1)], axis=1)
    distinct, frequency = np.unique(rows, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    bootstrapped = [_draw_difference(rng, distinct, frequency, groups, size) for size in _chunks(resamples)]
    low, high = np.quantile(np.concatenate(bootstrapped), [(1 - level) / 2, (1 + level) / 2], axis=0)
    ones, others = (_f1(one.sum(axis=0)) for one in (first, second))
    shuffled = [_swap_difference(rng, distinct, frequency, groups, size) for size in _chunks(resamples)]
    as_large = (np.abs(np.concatenate(shuffled)) >= np.abs(others - ones) - _TOLERANCE).sum(axis=0)
    p_values = (1 + as_large) / (1 + resamples)
    columns = (ones, others, low, high, p_values)
    return [F1Difference(*(float(column[group]) for column in columns)) for group in range(groups)]


def _draw_difference(
    rng: np.random.Generator, distinct: NDArray[np.float64], frequency: NDArray[np.int64], groups: int, size: int
) -> NDArray[np.float64]:
    """F1 differences of `size` bootstrap test sets, by group."""
    total = int(frequency.sum())
    draws = rng.multinomial(total, frequency / total, size=size).astype(np.float64)
    sums = (draws @ distinct).reshape(size, 2, groups, 3)
    return _f1(sums[:, 1]) - _f1(sums[:, 0])


def _swap_difference(
    rng: np.random.Generator, distinct: NDArray[np.float64], frequency: NDArray[np.int64], groups: int, size: int
) -> NDArray[np.float64]:
    """F1 differences of `size` exchanges of the two systems' answers, each document with probability 1/2, by group."""
    first, second = distinct[:, : 3 * groups], distinct[:, 3 * groups :]
    swapped = rng.binomial(frequency, 0.5, size=(size, len(frequency))).astype(np.float64)
    moved = (swapped @ (second - first)).reshape(size, groups, 3)
    ones, others = ((frequency @ part).reshape(groups, 3) for part in (first, second))
    return _f1(others - moved) - _f1(ones + moved)


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of counts whose last axis is tp, fp, fn; 1 where there is neither gold nor a prediction, as in `metrics.PRF`."""
    doubled = 2 * counts[..., 0]
    total = doubled + counts[..., 1] + counts[..., 2]
    return np.divide(doubled, total, out=np.ones_like(total), where=total > _TOLERANCE)


def _chunks(count: int) -> list[int]:
    """`count` in portions of at most `_CHUNK`."""
    return [min(_CHUNK, count - start) for start in range(0, count, _CHUNK)]
