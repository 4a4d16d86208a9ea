"""Calibrators are monotone and as good as the library's; thresholds keep what they promise, or there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from extune.evaluation.calibration import (
    DOUBT,
    LEAST_COVERAGE,
    Calibrator,
    fit_calibrator,
    fit_isotonic,
    fit_temperature,
    select_threshold,
    trace_risk,
    upper_bound,
)
from extune.evaluation.reliability import Verdict, sort_into_bins

VERDICTS = st.lists(st.builds(Verdict, st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def draw(random: np.random.Generator, count: int, power: float = 1.0, worst: float = 0.0) -> list[Verdict]:
    """Verdicts whose items are right with probability p and whose confidence is p ** power; p is at least `worst`."""
    chances = worst + (1 - worst) * random.beta(4, 1, size=count)
    right = random.random(count) < chances
    return [Verdict(float(chance**power), bool(is_right)) for chance, is_right in zip(chances, right, strict=True)]


@settings(max_examples=40)
@given(VERDICTS)
def test_a_calibrator_keeps_order_and_stays_a_probability(verdicts: list[Verdict]) -> None:
    for calibrator in (fit_temperature(verdicts), fit_isotonic(verdicts), fit_calibrator([[one] for one in verdicts])):
        values = [calibrator(raw) for raw in (0.0, 0.01, 0.3, 0.5, 0.99, 1.0)]
        assert values == sorted(values)
        assert all(0 <= value <= 1 for value in values)
        assert Calibrator.model_validate_json(calibrator.model_dump_json()) == calibrator


@settings(max_examples=40)
@given(st.lists(st.builds(Verdict, st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.8, 0.9]), st.booleans()), min_size=1, max_size=30))
def test_isotonic_is_the_least_squares_of_the_library(verdicts: list[Verdict]) -> None:
    raw = np.array([one.confidence for one in verdicts])
    right = np.array([float(one.right) for one in verdicts])
    library = IsotonicRegression(out_of_bounds="clip").fit(raw, right)
    assert fit_isotonic(verdicts).apply(raw) == pytest.approx(library.predict(raw))


def test_temperature_is_the_maximum_likelihood_of_the_library() -> None:
    verdicts = draw(np.random.default_rng(3), 4000, power=0.3)
    logits = np.array([[math.log(one.confidence) - math.log1p(-one.confidence)] for one in verdicts if one.confidence < 1])
    right = [one.right for one in verdicts if one.confidence < 1]
    library = LogisticRegression(C=math.inf, tol=1e-8, max_iter=1000).fit(logits, right)
    found = fit_temperature([one for one in verdicts if one.confidence < 1])
    assert found.slope == pytest.approx(float(library.coef_[0, 0]), rel=0.01)  # Platt's targets differ by 1 / n
    assert found.bias == pytest.approx(float(library.intercept_[0]), abs=0.02)


def test_calibration_brings_the_error_into_the_band() -> None:
    random = np.random.default_rng(5)
    fitted, held = draw(random, 2000, power=0.3), draw(random, 2000, power=0.3)
    calibrator = fit_calibrator([[one] for one in fitted])
    before, after = sort_into_bins(held), sort_into_bins(calibrator.calibrate(held))
    assert before.error > before.band[2]
    assert after.is_inside


def test_a_model_that_is_surer_where_it_is_wrong_gets_one_confidence() -> None:
    verdicts = [Verdict(0.9, False), Verdict(0.8, False), Verdict(0.2, True), Verdict(0.1, True)] * 10
    found = fit_temperature(verdicts)
    assert found(0.1) == found(0.9) == pytest.approx(0.5, abs=0.01)


@given(st.integers(1, 400), st.data())
def test_the_bound_is_clopper_and_pearson(count: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, count - 1))
    bound = upper_bound(count, wrong)
    assert wrong / count <= bound <= 1
    assert binom.cdf(wrong, count, bound) == pytest.approx(DOUBT / 4, abs=1e-4)


def test_thresholds_keep_their_promise() -> None:
    """Of many calibrations few select a threshold whose true risk is above what was asked."""
    random = np.random.default_rng(7)
    population = draw(random, 100_000, worst=0.5)
    confidences, right = (np.array([getattr(one, name) for one in population]) for name in ("confidence", "right"))
    risks = {max_risk: [0, 0] for max_risk in (0.05, 0.1)}
    for _ in range(40):
        fitted, held = draw(random, 500, worst=0.5), draw(random, 500, worst=0.5)
        for max_risk, counts in risks.items():
            found = select_threshold(fitted, held, max_risk)
            if found.threshold is None:
                continue
            counts[0] += 1
            counts[1] += 1 - right[confidences >= found.threshold].mean() > max_risk
            assert found.coverage >= LEAST_COVERAGE
            assert found.bound is not None
            assert found.risk <= found.bound <= max_risk
    for selected, broken in risks.values():
        assert selected >= 10
        assert broken <= 0.25 * 40  # DOUBT of 40 are expected at most; twice as many would be no chance any more


def test_where_the_surest_are_wrong_nothing_is_promised() -> None:
    random = np.random.default_rng(9)
    noisy = [Verdict(float(p), bool(random.random() < 0.9)) for p in random.random(1000)]
    found = select_threshold(noisy[:500], noisy[500:], 0.02)
    assert found.threshold is None
    assert found.kept == 0
    assert "of 500 held-out items" in found.refusal


@given(VERDICTS)
def test_the_curve_ends_with_everything_kept(verdicts: list[Verdict]) -> None:
    curve = trace_risk(verdicts)
    assert [point.coverage for point in curve] == sorted(point.coverage for point in curve)
    assert curve[-1].coverage == 1
    assert curve[-1].risk == pytest.approx(sum(not one.right for one in verdicts) / len(verdicts))
    for point in curve:
        kept = [one for one in verdicts if one.confidence >= point.threshold]
        assert point.coverage == pytest.approx(len(kept) / len(verdicts))
        assert point.risk == pytest.approx(sum(not one.right for one in kept) / len(kept))
