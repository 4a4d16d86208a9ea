"""Spans shown inside their text, nested and crossing ones too; the same cuts for pages and terminals.

In: a text and spans. Out: the text in pieces that know what covers them. It knows no HTML, no colours and no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from extune.domain.annotation import Span


class Mark(NamedTuple):
    """One step of writing a text with nested marks: `open` a span, `close` one, or `text`.

    A span that crosses the end of an outer one is closed with it and opened again; `ends` is True at its last closing, which is
    where its type is named.
    """

    kind: str
    text: str
    span: Span | None
    ends: bool


def mark_spans(text: str, spans: Iterable[Span]) -> list[tuple[str, tuple[str, ...]]]:
    """The text in pieces, each with the types that cover it, the outermost first. The pieces joined are the text."""
    return [(piece, tuple(span.type for span in covering)) for piece, covering in _cut(text, spans)]


def nest_marks(text: str, spans: Iterable[Span]) -> list[Mark]:
    """The text with opening and closing marks that are properly nested."""
    marks: list[Mark] = []
    stack: tuple[Span, ...] = ()
    place = 0
    for piece, covering in [*_cut(text, spans), ("", ())]:
        kept = 0
        while kept < min(len(stack), len(covering)) and stack[kept] is covering[kept]:
            kept += 1
        marks += [Mark("close", "", span, span.end == place) for span in reversed(stack[kept:])]
        marks += [Mark("open", "", span, False) for span in covering[kept:]]
        if piece:
            marks.append(Mark("text", piece, None, False))
        stack = covering
        place += len(piece)
    return marks


def _cut(text: str, spans: Iterable[Span]) -> list[tuple[str, tuple[Span, ...]]]:
    """Cut the text at every start and end; each piece with the spans that cover it, the outermost first."""
    ordered = sorted(spans, key=lambda span: (span.start, -span.end, span.type))
    cuts = sorted({0, len(text)} | {span.start for span in ordered} | {span.end for span in ordered})
    pieces: list[tuple[str, tuple[Span, ...]]] = []
    covering: tuple[Span, ...] = ()
    following = 0
    for start, end in pairwise(cuts):
        opened = following
        while opened < len(ordered) and ordered[opened].start == start:
            opened += 1
        covering = tuple(span for span in (*covering, *ordered[following:opened]) if span.end > start)
        following = opened
        pieces.append((text[start:end], covering))
    return pieces
