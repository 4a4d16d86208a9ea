"""Intervals and p-values keep what they promise: simulated test sets whose true score is known, with fixed seeds.

Documents are drawn from a population of kinds of documents; the true score is that of the population. The number of intervals
that hold it is binomial, so what is asserted is a band of three standard deviations around the nominal share.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from extune.evaluation.significance import bootstrap_interval, bootstrap_mean, compare_f1

SETS, DOCUMENTS, RESAMPLES = 300, 200, 400
LEVEL = 0.95
BAND = 3 * sqrt(LEVEL * (1 - LEVEL) / SETS)


def population(spread: float) -> NDArray[np.int64]:
    """2,000 documents with right, wrong and missed spans; `spread` makes some much longer and worse than others."""
    rng = np.random.default_rng(11)
    size = rng.gamma(1 / spread, spread, 2000)[:, None] * (1.8, 0.5, 0.6)
    return rng.poisson(size).astype(np.int64)


def f1(counts: NDArray[np.int64]) -> float:
    tp, fp, fn = counts.sum(axis=0)
    return float(2 * tp / (2 * tp + fp + fn))


@pytest.mark.parametrize("spread", [0.01, 1.0], ids=["alike", "uneven"])
def test_the_interval_of_f1_holds_the_true_f1_as_often_as_it_says(spread: float) -> None:
    kinds = population(spread)
    rng, true, held = np.random.default_rng(5), f1(kinds), 0
    for number in range(SETS):
        sample = kinds[rng.integers(0, len(kinds), DOCUMENTS)]
        low, high = bootstrap_interval([tuple(row) for row in sample.tolist()], RESAMPLES, seed=number, level=LEVEL)
        held += low <= true <= high
    assert abs(held / SETS - LEVEL) <= BAND


def test_the_interval_of_a_mean_holds_the_true_mean_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(6), 0
    for number in range(SETS):
        low, high = bootstrap_mean((rng.random(DOCUMENTS) < 0.7).astype(float).tolist(), RESAMPLES, seed=number, level=LEVEL)
        held += low <= 0.7 <= high
    assert abs(held / SETS - LEVEL) <= BAND + 1 / DOCUMENTS  # the mean of yes and no moves in steps


def test_a_difference_is_held_and_equal_systems_are_rarely_called_different() -> None:
    """The interval of the difference, and the false alarms of the randomisation at 0.05."""
    kinds = population(1.0)
    other = np.random.default_rng(12).permuted(kinds, axis=0)  # as good over all, on other documents
    rng, held, alarms = np.random.default_rng(7), 0, 0
    for number in range(SETS):
        chosen = rng.integers(0, len(kinds), DOCUMENTS)
        ones, others = (table[chosen][:, None, :].astype(np.float64) for table in (kinds, other))
        (found,) = compare_f1(ones, others, resamples=250, seed=number, level=LEVEL)
        held += found.low <= 0 <= found.high
        alarms += found.p_value <= 1 - LEVEL
    assert abs(held / SETS - LEVEL) <= BAND
    assert abs(alarms / SETS - (1 - LEVEL)) <= BAND
