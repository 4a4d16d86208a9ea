"""Confidences against verdicts: bins lose nothing, the band holds what is calibrated, every kind of item is judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.reliability import BINS, Verdict, judge_items, measure_reliability, sort_into_bins

VERDICTS = st.lists(st.builds(Verdict, st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(VERDICTS)
def test_bins_hold_every_item_once_and_equally_many(verdicts: list[Verdict]) -> None:
    found = sort_into_bins(verdicts)
    counts = [one.count for one in found.bins]
    assert sum(counts) == len(verdicts)
    assert len(counts) == min(BINS, len(verdicts))
    assert max(counts) - min(counts) <= 1
    assert sum(one.count * one.right for one in found.bins) == pytest.approx(sum(one.right for one in verdicts))
    assert all(one.low - 1e-9 <= one.confidence <= one.high + 1e-9 for one in found.bins)
    assert 0 <= found.error <= 1
    assert found.band[0] <= found.band[1] <= found.band[2]


def test_a_model_that_is_as_often_right_as_it_says_has_no_error() -> None:
    half = [Verdict(0.5, number % 2 == 0) for number in range(40)]
    assert sort_into_bins(half).error == pytest.approx(0)
    assert sort_into_bins([Verdict(0.9, False)]).error == pytest.approx(0.9)


def test_the_band_holds_calibrated_predictions_and_no_others() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(40):
        confidences = random.beta(5, 2, size=600)
        drawn = random.random(600) < confidences
        found = sort_into_bins([Verdict(p, bool(y)) for p, y in zip(confidences.tolist(), drawn, strict=True)])
        inside += found.band[0] <= found.error <= found.band[2]
        bold = sort_into_bins([Verdict(p**0.3, bool(y)) for p, y in zip(confidences.tolist(), drawn, strict=True)])
        assert not bold.is_inside
    assert inside >= 34  # 38 of 40 are expected; fewer than 34 happen once in 50,000


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        (
            Extraction((Span("甲", "一", 0, 1),)),
            Extraction((Span("甲", "一", 0, 1, 0.9), Span("乙", "二", 1, 2, 0.8), Span("甲", "二", 1, 2))),
            [(0.9, True), (0.8, False)],
        ),
        (
            Fields({"药": ("甲", "乙"), "程": "急"}),
            Fields({"药": ("甲", "甲", "乙"), "程": "慢"}, {"药": (0.9, 0.8, 0.7), "程": (0.6,)}),
            [(0.9, True), (0.8, False), (0.7, True), (0.6, False)],
        ),
        (Fields({}), Fields({"论": "很长"}), []),
        (Labels(("甲",)), Labels(("甲", "乙"), (0.9, 0.4)), [(0.9, True), (0.4, False)]),
        (Answer("甲"), Answer("乙"), []),
    ],
)
def test_items_of_every_kind_are_judged(gold: Annotation, predicted: Annotation, expected: list[tuple[float, bool]]) -> None:
    verdicts, without = judge_items([(Example("a", "一二", gold), Prediction("a", predicted, ""))])
    assert [(one.confidence, one.right) for one in verdicts] == expected
    assert without == (isinstance(predicted, Extraction) or (isinstance(predicted, Fields) and not expected))


def test_without_any_confidence_nothing_is_said() -> None:
    gold = Extraction((Span("甲", "一", 0, 1),))
    assert measure_reliability([(Example("a", "一", gold), Prediction("a", gold, ""))]) is None
