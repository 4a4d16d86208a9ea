"""Pieces and marks give the text back, whatever the spans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Span
from extune.reporting.highlight import mark_spans


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    text = draw(st.text(max_size=12))
    spans: dict[tuple[int, int, str], Span] = {}
    for _ in range(draw(st.integers(0, 5)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        span = Span(draw(st.sampled_from("AB")), text[start:end], start, end)
        spans[span.key] = span
    return text, list(spans.values())


@given(texts_with_spans())
def test_pieces_are_the_text_and_know_what_covers_them(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    pieces = mark_spans(text, spans)
    assert "".join(piece for piece, _ in pieces) == text
    start = 0
    for piece, types in pieces:
        end = start + len(piece)
        assert sorted(types) == sorted(span.type for span in spans if span.start <= start and end <= span.end)
        start = end


def test_the_outer_span_comes_first() -> None:
    spans = [Span("方", "桂枝汤", 1, 4), Span("药", "桂枝", 1, 3)]
    assert mark_spans("服桂枝汤", spans) == [("服", ()), ("桂枝", ("方", "药")), ("汤", ("方",))]
