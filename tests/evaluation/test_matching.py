"""Pairing spans one to one is exact: it equals trying every pairing."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Span
from extune.evaluation.matching import compare_spans, count_common, count_pairs, sum_partial_credit

_TEXT = "一二三四五六七八"


@st.composite
def extractions(draw: st.DrawFn) -> Extraction:
    """Up to five spans that may nest, cross and share places, of two types."""
    ends = st.integers(0, len(_TEXT) - 1).flatmap(lambda start: st.tuples(st.just(start), st.integers(start + 1, len(_TEXT))))
    keys = draw(st.sets(st.tuples(ends, st.sampled_from("AB")), max_size=5))
    return Extraction(tuple(Span(type_, _TEXT[start:end], start, end) for (start, end), type_ in keys))


def _credit(gold: Span, predicted: Span) -> float:
    if gold.type != predicted.type or not gold.overlaps(predicted):
        return 0.0
    return 1.0 if gold == predicted else 0.5


def _best_credit(gold: Extraction, predicted: Extraction) -> float:
    few, many = sorted((gold.spans, predicted.spans), key=len)
    return max(sum(map(_credit, few, chosen)) for chosen in permutations(many, len(few)))


@given(extractions(), extractions())
def test_partial_credit_is_the_best_of_all_pairings(gold: Extraction, predicted: Extraction) -> None:
    assert sum_partial_credit(compare_spans(gold, predicted)) == _best_credit(gold, predicted)


@given(st.lists(st.sets(st.integers(0, 4)), max_size=5))
def test_count_pairs_is_maximum(neighbours: list[set[int]]) -> None:
    rights = range(max(5, len(neighbours)))
    best = max(
        sum(right in near for right, near in zip(chosen, neighbours, strict=True))
        for chosen in permutations(rights, len(neighbours))
    )
    assert count_pairs([sorted(near) for near in neighbours]) == best


def test_a_long_chain_is_repaired_without_recursion() -> None:
    length = 3000
    chain = [[number, number + 1] for number in range(length)]
    assert count_pairs([*chain, [0]]) == length + 1


def test_one_prediction_over_two_golds_pairs_with_one_of_them() -> None:
    gold = Extraction((Span("A", "一二", 0, 2), Span("A", "三四", 2, 4)))
    predicted = Extraction((Span("A", "一二三四", 0, 4),))
    assert sum_partial_credit(compare_spans(gold, predicted)) == 0.5


def test_touching_spans_do_not_overlap() -> None:
    gold, predicted = Extraction((Span("A", "一二", 0, 2),)), Extraction((Span("A", "三四", 2, 4),))
    assert sum_partial_credit(compare_spans(gold, predicted)) == 0


def test_comparison_splits_both_sides() -> None:
    both, other, third = Span("A", "一", 0, 1), Span("B", "一", 0, 1), Span("A", "二", 1, 2)
    comparison = compare_spans(Extraction((both, other)), Extraction((third, both)))
    assert (comparison.found, comparison.missed, comparison.spurious) == ((both,), (other,), (third,))


def test_common_counts_repeats() -> None:
    assert count_common("aab", "abbb") == 2
