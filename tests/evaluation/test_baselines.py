"""The gazetteer knows what train labels, and nothing else."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Fields, Span
from extune.domain.example import Example
from extune.evaluation.baselines import seen_share
from extune.evaluation.lookups import FieldLookup, Gazetteer


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


def _record(text: str, **values: str | tuple[str, ...]) -> Example:
    return Example("1", text, Fields(values))


def test_a_record_gets_the_strings_that_its_field_had_in_text_order() -> None:
    lookup = FieldLookup.fit([_record("服甲与乙", 药=("乙", "甲"), 查=("甲与",)), _record("丙", 药=("丙",))])
    assert lookup.predict("乙、丙、乙、甲").values == {"药": ("乙", "丙", "甲"), "查": ()}


def test_a_string_that_most_texts_have_outside_the_field_is_unknown() -> None:
    half = [_record("甲", 药=("甲",)), _record("甲")]
    assert FieldLookup.fit(half).predict("甲").values == {"药": ("甲",)}
    assert FieldLookup.fit([*half, _record("甲")]).predict("甲").values == {"药": ()}


def test_other_fields_get_their_most_frequent_value_or_stay_absent() -> None:
    rows = [_record("", 诊断="感冒"), _record("", 诊断="感冒"), _record("", 诊断="肺炎", 建议="休息"), _record("")]
    assert FieldLookup.fit(rows).predict("肺炎").values == {"诊断": "感冒"}


def test_a_lookup_of_nothing_knows_nothing() -> None:
    assert FieldLookup.fit([Example("1", "甲")]).predict("甲").values == {}


@given(
    st.lists(
        st.builds(
            lambda text, cuts: _record(text, 药=tuple(text[start : start + 2] for start in cuts if text[start : start + 2])),
            st.text("甲乙丙", max_size=10),
            st.lists(st.integers(0, 9), max_size=3),
        ),
        min_size=1,
    ),
    st.text("甲乙丙", max_size=12),
)
def test_looked_up_strings_are_in_the_text_and_were_in_train(rows: list[Example], text: str) -> None:
    found = FieldLookup.fit(rows).predict(text).values.get("药", ())
    known = {one for row in rows if isinstance(row.gold, Fields) for one in row.gold.values["药"]}
    assert len(set(found)) == len(found)
    assert all(one in text and one in known for one in found)
    assert [text.index(one) for one in found] == sorted(text.index(one) for one in found)
