"""Spans shown inside their text on a terminal, nested and crossing ones too.

In: a text and spans. Out: the text in pieces that know what covers them. It knows no HTML, no colours and no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from extune.domain.annotation import Span


def mark_spans(text: str, spans: Iterable[Span]) -> list[tuple[str, tuple[str, ...]]]:
    """The text in pieces, each with the types that cover it, the outermost first. The pieces joined are the text."""
    return [(piece, tuple(span.type for span in covering)) for piece, covering in _cut(text, spans)]


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
