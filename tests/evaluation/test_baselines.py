"""The gazetteer knows what train labels, and nothing else."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.evaluation.baselines import Gazetteer, seen_share


def _example(text: str, *spans: tuple[str, int, int]) -> Example:
    return Example("1", text, Extraction(tuple(Span(type_, text[start:end], start, end) for type_, start, end in spans)))


def _keys(extraction: Extraction) -> list[tuple[int, int, str]]:
    return [span.key for span in extraction.spans]


def test_longest_first_and_leftmost() -> None:
    gazetteer = Gazetteer({"桂枝": "药", "桂枝汤": "方", "汤药": "药"})
    assert _keys(gazetteer.predict("服桂枝汤药与桂枝")) == [(1, 4, "方"), (6, 8, "药")]


def test_the_type_is_the_most_frequent_one() -> None:
    gazetteer = Gazetteer.fit([_example("甲甲甲", ("A", 0, 1), ("B", 1, 2), ("B", 2, 3))])
    assert _keys(gazetteer.predict("甲")) == [(0, 1, "B")]


def test_a_string_is_known_where_half_of_its_occurrences_are_labelled() -> None:
    half = [_example("气虚气", ("A", 0, 1))]
    less = [*half, _example("气")]
    assert _keys(Gazetteer.fit(half).predict("气")) == [(0, 1, "A")]
    assert _keys(Gazetteer.fit(less).predict("气")) == []


def test_two_types_on_one_span_are_one_labelled_occurrence() -> None:
    examples = [_example("气", ("A", 0, 1), ("B", 0, 1)), _example("气气")]
    assert _keys(Gazetteer.fit(examples).predict("气")) == []


def test_overlapping_occurrences_count() -> None:
    assert _keys(Gazetteer.fit([_example("哈哈哈哈", ("A", 0, 2))]).predict("哈哈")) == []


def test_unlabelled_examples_are_passed_over() -> None:
    examples = [_example("气", ("A", 0, 1)), Example("2", "气气气")]
    assert _keys(Gazetteer.fit(examples).predict("气")) == [(0, 1, "A")]


@given(st.text("甲乙丙", max_size=12), st.dictionaries(st.text("甲乙丙", min_size=1, max_size=3), st.sampled_from("AB")))
def test_predictions_are_verbatim_and_do_not_overlap(text: str, types: dict[str, str]) -> None:
    spans = Gazetteer(types).predict(text).spans
    assert all(text[span.start : span.end] == span.text and types[span.text] == span.type for span in spans)
    assert all(left.end <= right.start for left, right in pairwise(spans))
    uncovered = [place for place in range(len(text)) if not any(span.start <= place < span.end for span in spans)]
    assert not any(text[place] in types for place in uncovered)


def test_seen_share_counts_mentions_of_any_type() -> None:
    train = [_example("黄芪", ("A", 0, 2)).gold]
    test = [_example("黄芪黄芪人参", ("A", 0, 2), ("B", 2, 4), ("A", 4, 6)).gold]
    assert all(isinstance(gold, Extraction) for gold in [*train, *test])
    assert seen_share(train, test) == 2 / 3  # type: ignore[arg-type]
    assert seen_share(train, []) is None  # type: ignore[arg-type]
