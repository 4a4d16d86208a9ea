"""A law that was put in is found again, its interval covers, and a fit that says nothing says so."""

from __future__ import annotations

import numpy as np
import pytest

from extune.evaluation.power_law import forecast_doubling

SIZES = (60, 150, 300, 600)


def law(size: int, a: float = 2.0, b: float = 0.4) -> float:
    return float(1 - a * size**-b)


def test_an_exact_law_is_found_and_forecast() -> None:
    found = forecast_doubling({size: [law(size)] * 3 for size in SIZES})
    assert (found.a, found.b) == pytest.approx((2.0, 0.4))
    assert found.gain == pytest.approx(law(1200) - law(600))
    assert found.low == pytest.approx(found.gain)
    assert found.predict(5000) == pytest.approx(law(5000))
    assert found.obstacle == ""


def test_the_interval_holds_the_true_gain_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    true = law(1200) - law(600)
    trials = 150
    inside = 0
    for trial in range(trials):
        scores = {size: (law(size) + rng.normal(0, 0.01, 3)).tolist() for size in SIZES}
        found = forecast_doubling(scores, resamples=300, seed=trial)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= true <= found.high
    assert 0.85 <= inside / trials <= 1.0


def test_order_of_seeds_and_sizes_does_not_matter() -> None:
    scores = {60: [0.5, 0.52, 0.55], 300: [0.6, 0.63, 0.61], 150: [0.55, 0.58, 0.57]}
    again = {size: scores[size] for size in sorted(scores)}
    assert forecast_doubling(scores) == forecast_doubling(again)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({60: [0.5, 0.5], 150: [0.4, 0.4], 300: [0.7, 0.7]}, "the mean score falls from 0.500 at 60 examples to 0.400 at 150"),
        ({60: [0.5, 0.6], 150: [0.4, 0.71], 300: [0.5, 0.62]}, "holds 0"),
        ({60: [0.5, 0.6], 150: [0.6, 0.7], 300: [0.9, 1.0]}, "no error is left"),
        ({60: [0.5, 0.6], 150: [0.6, 0.7]}, "a fit needs 3 sizes"),
        ({60: [0.5], 150: [0.6], 300: [0.7]}, "2 seeds each"),
    ],
)
def test_a_fit_that_says_nothing_says_why(scores: dict[int, list[float]], reason: str) -> None:
    found = forecast_doubling(scores)
    assert reason in found.obstacle
    assert not found.to_json()["usable"]
