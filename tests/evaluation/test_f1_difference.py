"""The difference of two F1: intervals that cover the truth as often as they say, p-values that are honest under the null."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from extune.evaluation.metrics import PRF
from extune.evaluation.significance import compare_f1

Counts = NDArray[np.float64]


def _population(rng: np.random.Generator, documents: int, quality: tuple[float, float]) -> tuple[Counts, Counts]:
    """Counts of two systems that share their documents' difficulty, each document with its own number of gold spans."""
    gold = rng.poisson(2.0, documents)
    difficulty = rng.normal(0, 1.0, documents)
    systems = []
    for level in quality:
        chance = 1 / (1 + np.exp(difficulty - level))
        right = rng.binomial(gold, chance)
        wrong = rng.poisson(1 - chance)
        systems.append(np.stack([right, wrong, gold - right], axis=1).astype(np.float64)[:, None, :])
    return systems[0], systems[1]


def _f1(counts: Counts) -> float:
    return PRF(*counts.sum(axis=(0, 1))).f1


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    first, second = _population(rng, 100_000, (1.2, 1.5))
    truth = _f1(second) - _f1(first)
    covered = 0
    for trial in range(300):
        chosen = rng.integers(0, len(first), 150)
        (found,) = compare_f1(first[chosen], second[chosen], resamples=400, seed=trial)
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 300 <= 0.98  # 0.95, less than three standard errors away


def test_the_p_value_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    first, second = _population(rng, 100_000, (1.3, 1.3))
    chosen = [rng.integers(0, len(first), 150) for _ in range(300)]
    p_values = np.array([compare_f1(first[some], second[some], resamples=199)[0].p_value for some in chosen])
    assert 0.02 <= (p_values <= 0.05).mean() <= 0.09
    assert 0.42 <= (p_values <= 0.5).mean() <= 0.58


def test_a_clear_difference_is_found() -> None:
    (found,) = compare_f1(*_population(np.random.default_rng(3), 600, (1.0, 2.0)))
    assert found.low > 0
    assert found.p_value == 1 / 2001


def test_order_and_seed_decide_nothing_else() -> None:
    first, second = _population(np.random.default_rng(4), 200, (1.0, 1.2))
    shuffled = np.random.default_rng(5).permutation(200)
    assert compare_f1(first, second, 300) == compare_f1(first[shuffled], second[shuffled], 300)
    assert compare_f1(first, second, 300, seed=1) != compare_f1(first, second, 300, seed=2)


def test_swapping_the_systems_turns_the_sign() -> None:
    first, second = _population(np.random.default_rng(6), 400, (1.0, 1.3))
    (there,), (back,) = compare_f1(first, second), compare_f1(second, first)
    assert (there.first, there.second, there.difference) == (back.second, back.first, -back.difference)
    assert there.low == pytest.approx(-back.high, abs=0.004)
    assert there.p_value == pytest.approx(back.p_value, abs=0.03)


def test_equal_answers_do_not_differ() -> None:
    first, _ = _population(np.random.default_rng(7), 50, (1.0, 1.0))
    (found,) = compare_f1(first, first)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_groups_are_compared_side_by_side() -> None:
    one, other = _population(np.random.default_rng(8), 300, (1.0, 1.4))
    none = np.zeros_like(one)
    both = compare_f1(np.concatenate([one, none], axis=1), np.concatenate([other, none], axis=1))
    assert (both[0].first, both[0].second) == pytest.approx((_f1(one), _f1(other)))
    assert both[0].low < both[0].difference < both[0].high
    assert (both[1].first, both[1].second, both[1].p_value) == (1, 1, 1)


def test_randomisation_equals_trying_every_exchange() -> None:
    first, second = _population(np.random.default_rng(9), 10, (0.5, 2.0))
    observed = abs(_f1(second) - _f1(first))
    hits = 0
    for choice in range(1 << 10):
        swap = np.array([choice >> place & 1 for place in range(10)], dtype=bool)[:, None, None]
        hits += abs(_f1(np.where(swap, first, second)) - _f1(np.where(swap, second, first))) >= observed - 1e-12
    (found,) = compare_f1(first, second, resamples=20_000)
    assert math.isclose(found.p_value, hits / (1 << 10), abs_tol=0.012)


def test_different_documents_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one document"):
        compare_f1(np.zeros((2, 1, 3)), np.zeros((3, 1, 3)))
