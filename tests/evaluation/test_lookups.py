"""A look-up without an example is the look-up of the others."""

from __future__ import annotations

import pickle
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Fields, Span
from extune.domain.example import Example
from extune.evaluation.lookups import FieldLookup, Gazetteer, MentionCounts, PieceCounts

texts = st.text("甲乙丙", max_size=8)


@st.composite
def extractions(draw: st.DrawFn) -> Example:
    text = draw(texts)
    places = st.tuples(st.integers(0, max(0, len(text) - 1)), st.integers(1, 3), st.sampled_from("AB"))
    keys = {(start, min(len(text), start + length), type_) for start, length, type_ in draw(st.lists(places, max_size=4))}
    spans = (Span(type_, text[start:end], start, end) for start, end, type_ in keys if start < end)
    return Example("1", text, Extraction(tuple(spans)))


@st.composite
def records(draw: st.DrawFn) -> Example:
    pieces = st.lists(st.text("甲乙丙", min_size=1, max_size=3), max_size=3).map(tuple)
    return Example("1", draw(texts), Fields(draw(st.dictionaries(st.sampled_from(["药", "查"]), pieces))))


def count_types(examples: list[Example], string: str) -> Counter[str]:
    golds = [example.gold for example in examples if isinstance(example.gold, Extraction)]
    return Counter(span.type for gold in golds for span in gold.spans if span.text == string)


@given(st.lists(extractions(), min_size=1, max_size=5))
def test_mentions_are_looked_up_as_if_the_example_were_not_there(examples: list[Example]) -> None:
    example, *others = examples
    found = MentionCounts.fit(examples).without(example).predict(example.text).spans
    expected = Gazetteer.fit(others).predict(example.text).spans
    assert [(span.start, span.end) for span in found] == [(span.start, span.end) for span in expected]
    for span in found:  # of two types that the others give equally often either will do
        votes = count_types(others, span.text)
        assert votes[span.type] == max(votes.values())


@given(st.lists(records(), min_size=1, max_size=5))
def test_pieces_are_looked_up_as_if_the_example_were_not_there(examples: list[Example]) -> None:
    example, *others = examples
    found = PieceCounts.fit(examples).without(example).predict(example.text).values
    expected = FieldLookup(FieldLookup.fit(others).strings, {}).predict(example.text).values
    assert {name: pieces for name, pieces in found.items() if pieces} == {n: p for n, p in expected.items() if p}


@given(st.lists(extractions(), max_size=4))
def test_counts_travel_to_other_processes(examples: list[Example]) -> None:
    counts = MentionCounts.fit(examples)
    assert pickle.loads(pickle.dumps(counts)) == counts  # noqa: S301 - its own
