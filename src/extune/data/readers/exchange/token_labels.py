"""Token-label columns, written: `bio` and `bioes` a character a line, `conll` a word a line; `readers.bio` reads all of them.

In: examples. Out: a file of tokens and labels, a blank line between sentences. It can hold flat spans only: of overlapping ones
the longest is kept, and what is lost is counted. It knows nothing about reading but how tokens are joined again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from extune.data.readers.bio import join_tokens, mostly_characters
from extune.data.readers.exchange.base import EXTRACTION, Export
from extune.domain.annotation import Span
from extune.domain.example import Example

_IDEOGRAPHS = "\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+|\S")
_UNWRITABLE_TYPE = re.compile(r"[\t\n\r]|^ | $")
_NO_LINE_BREAKS = {ord("\n"): " "}
_Token = tuple[int, int]  # half-open, in characters of the text


class TokenLabels:
    """One of the three ways to write columns. Holds flat spans; neither ids nor line breaks."""

    kinds = (EXTRACTION,)

    def __init__(self, name: str, *, closes: bool = False, of_words: bool = False) -> None:
        """`closes`: BIOES instead of BIO. `of_words`: a run of letters or digits is one token, blanks are none."""
        self.name = name
        self._closes, self._of_words = closes, of_words

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """The columns apart by tabs, which any type name but one with tabs survives."""
        sentences = [self._split(example, export) for example in export.examples]
        of_characters = mostly_characters(len(token) for _, tokens, _ in sentences for token in tokens)
        blocks = [""]  # so that a byte order mark in the first text is a token
        for example, tokens, labels in sentences:
            if not tokens:
                continue
            joined, _ = join_tokens(tokens, None, of_characters)
            if joined != example.text.translate(_NO_LINE_BREAKS):
                export.lose("white space of a text changes", example)
            blocks.append("".join(f"{token}\t{label}\n" for token, label in zip(tokens, labels, strict=True)))
        return {path: "\n".join(blocks)}

    def _split(self, example: Example, export: Export) -> tuple[Example, list[str], list[str]]:
        """Tokens and labels; none where the example cannot be written."""
        export.lose_extras(example, holds_ids=False)
        if example.gold is None or not example.text:
            what = "without annotation" if example.gold is None else "without text"
            export.lose(f"an example {what} cannot be said and is left out", example)
            return example, [], []
        if "\n" in example.text:
            export.lose("a line break becomes a space", example)
        text = example.text.translate(_NO_LINE_BREAKS)
        spans = _choose_flat(example, export)
        tokens = self._tokenize(text, spans)
        if not tokens:
            export.lose("an example without visible text cannot be said and is left out", example)
        labels = ["O"] * len(tokens)
        for span in spans:
            if not self._put(span, tokens, labels):
                export.lose("a span that begins or ends with a blank is lost", example, f"{span.type} {span.text!r}")
        return example, [text[start:end] for start, end in tokens], labels

    def _tokenize(self, text: str, spans: Sequence[Span]) -> list[_Token]:
        """Characters; or words, ideographs and symbols, cut where a span begins or ends, and no blanks."""
        if not self._of_words:
            return [(place, place + 1) for place in range(len(text))]
        borders = {border for span in spans for border in (span.start, span.end)}
        tokens: list[_Token] = []
        for match in _WORD.finditer(text):
            cuts = [match.start(), *(place for place in range(match.start() + 1, match.end()) if place in borders), match.end()]
            tokens += pairwise(cuts)
        return tokens

    def _put(self, span: Span, tokens: Sequence[_Token], labels: list[str]) -> bool:
        """Label the tokens of a span; False where they do not begin and end with it."""
        inside = [number for number, (start, end) in enumerate(tokens) if span.start <= start and end <= span.end]
        if not inside or tokens[inside[0]][0] != span.start or tokens[inside[-1]][1] != span.end:
            return False
        for number in inside:
            prefix = "B" if number == inside[0] else "I"
            if self._closes and number == inside[-1]:
                prefix = "S" if number == inside[0] else "E"
            labels[number] = f"{prefix}-{span.type}"
        return True


def _choose_flat(example: Example, export: Export) -> list[Span]:
    """Spans of which no two overlap, the longest of each tangle, in text order; the rest is counted."""
    kept: list[Span] = []
    for span in sorted(export.spans(example), key=lambda one: (one.start - one.end, one.start, one.type)):
        if _UNWRITABLE_TYPE.search(span.type):
            export.lose("a type with tabs or outer blanks is lost", example, repr(span.type))
        elif any(span.overlaps(other) for other in kept):
            export.lose("a span inside or across another one is lost", example, f"{span.type} {span.text!r}")
        else:
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
