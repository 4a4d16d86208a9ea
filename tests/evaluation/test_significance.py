"""The bootstrap: deterministic, independent of order, and of the width that drawing documents one by one gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.evaluation.significance import bootstrap_interval

_small = st.integers(0, 4)
_counts = st.lists(st.tuples(_small, _small, _small), min_size=1, max_size=30)


def _f1(counts: list[tuple[int, int, int]]) -> float:
    tp, fp, fn = (sum(column) for column in zip(*counts, strict=True))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0


def _ordinary(documents: int) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(3)
    return [(int(tp), int(fp), int(fn)) for tp, fp, fn in rng.poisson((1.8, 0.5, 0.6), size=(documents, 3))]


@given(_counts, st.randoms(use_true_random=False))
def test_deterministic_and_independent_of_order(counts: list[tuple[int, int, int]], random: object) -> None:
    shuffled = list(counts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bootstrap_interval(counts, 50) == bootstrap_interval(shuffled, 50)


@given(_counts)
def test_inside_zero_and_one_and_in_order(counts: list[tuple[int, int, int]]) -> None:
    low, high = bootstrap_interval(counts, 50)
    assert 0 <= low <= high <= 1


def test_contains_the_estimate_on_ordinary_data() -> None:
    counts = _ordinary(658)
    low, high = bootstrap_interval(counts)
    assert low < _f1(counts) < high
    assert 0.015 < (high - low) / 2 < 0.035  # about 2.4 points at F1 0.75 and 658 sentences


def test_equals_drawing_documents_one_by_one() -> None:
    counts = _ordinary(100)
    table = np.array(counts)
    draws = table[np.random.default_rng(1).integers(0, 100, size=(20_000, 100))].sum(axis=1)
    scores = 2 * draws[:, 0] / (2 * draws[:, 0] + draws[:, 1] + draws[:, 2])
    assert np.allclose(bootstrap_interval(counts, 20_000), np.quantile(scores, [0.025, 0.975]), atol=0.004)


def test_other_seeds_differ_and_higher_levels_are_wider() -> None:
    counts = _ordinary(100)
    assert bootstrap_interval(counts, 200, seed=1) != bootstrap_interval(counts, 200, seed=2)
    narrow, wide = bootstrap_interval(counts, level=0.5), bootstrap_interval(counts, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_more_documents_give_a_narrower_interval() -> None:
    few, many = bootstrap_interval(_ordinary(100)), bootstrap_interval(_ordinary(1600))
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_no_documents_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one document"):
        bootstrap_interval([])
