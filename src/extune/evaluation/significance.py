"""How far a score could be off because the test set is a sample.

In: true positives, false positives and false negatives per document. Out: an interval. It knows nothing about spans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000


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

    Documents with equal counts are interchangeable, so a resample is one multinomial draw over the distinct counts: the same
    distribution as drawing documents one by one, and independent of their order.

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
