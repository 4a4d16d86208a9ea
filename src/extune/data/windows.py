"""A text beyond the budget becomes overlapping windows; their gold and their predictions are shared out and merged again.

In: a text and a callable that says whether a piece fits. Out: windows, annotations with offsets in a window or in the text.
It knows nothing about tokens, prompts and models.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Problem
from extune.errors import DataError

Fits = Callable[[str], bool]

_SENTENCE_END = re.compile(r"(?:[。！？；!?;]+|\.(?=\s))[”’」』）)]*|\n")
_CLAUSE_END = re.compile("[，,]")
_FIRST_GUESS = 256  # characters of the first window that is tried; the next ones begin with the length of the last


@dataclass(frozen=True)
class Window:
    """The characters `[start, end)` of a text."""

    start: int
    end: int

    def holds(self, span: Span) -> bool:
        """True where the span lies in the window whole."""
        return self.start <= span.start and span.end <= self.end

    def cuts(self, span: Span, length: int) -> bool:
        """True where the span touches an edge beyond which a text of `length` characters goes on."""
        return 0 < self.start == span.start or span.end == self.end < length


class _Seams:
    """Where a text is best cut: positions just after sentences, and just after clauses."""

    def __init__(self, text: str) -> None:
        self._levels = [[match.end() for match in pattern.finditer(text)] for pattern in (_SENTENCE_END, _CLAUSE_END)]

    def last(self, low: int, high: int) -> list[int]:
        """The last position in [low, high] of each level, best level first, then `high` itself."""
        found = [level[bisect_left(level, low) : bisect_right(level, high)][-1:] for level in self._levels]
        return [position for positions in found for position in positions] + [high]


def split_windows(text: str, fits: Fits, overlap: int) -> tuple[Window, ...]:
    """Cover the text with windows that fit and are as long as possible.

    They end at a sentence, or else at a clause, where one ends in a window's second half. Neighbours share at least
    `overlap` characters, or half of a window that is shorter than twice as much; less only where a window would
    otherwise not reach beyond its neighbour. A window begins at a sentence where one begins in or shortly before that
    overlap.

    Args:
        text: what to cover; where it fits whole there is one window.
        fits: True for pieces within the budget; should be true for every piece of a piece that fits. Costly: called
            a dozen times per window, never with much more than a window's text besides the whole one.
        overlap: characters.

    Raises:
        DataError: a single character does not fit.
    """
    if fits(text):
        return (Window(0, len(text)),)
    seams = _Seams(text)
    windows = [_first_window(text, fits, seams)]
    while windows[-1].end < len(text):
        windows.append(_next_window(text, fits, seams, windows[-1], overlap))
    return tuple(windows)


def assign_gold(example: Example, windows: Sequence[Window]) -> tuple[Extraction, ...]:
    """The gold of each window, with offsets in it: every window that holds a span whole gets it.

    Raises:
        DataError: no window holds a span.
        TypeError: the example's gold is no extraction.
    """
    if not isinstance(example.gold, Extraction):
        raise TypeError(f"the gold of {example.id} is no extraction")
    for span in example.gold.spans:
        if not any(window.holds(span) for window in windows):
            raise DataError(
                f"span [{span.start}, {span.end}) of type {span.type!r} lies in no window whole",
                where=str(example.source or example.id),
                expected=f"spans that fit into the overlap of two windows; this one has {span.end - span.start} characters",
                fix="raise data.window_overlap or prompt.max_input_tokens, or shorten the span",
            )
    return tuple(
        Extraction(tuple(_move(span, -window.start) for span in example.gold.spans if window.holds(span))) for window in windows
    )


def merge_windows(
    text: str, results: Sequence[tuple[Window, Extraction, Sequence[Problem]]]
) -> tuple[Extraction, tuple[Problem, ...]]:
    """One annotation of the whole text from those of its windows; a span that several windows found stands once.

    A span that its window's edge may have cut gives way to a longer one of its type that contains it and that another
    window saw uncut. Ungrounded mentions and problems are kept as often as they occur.
    """
    found = [(window, _move(span, window.start)) for window, extraction, _ in results for span in extraction.spans]
    whole = [(window, span) for window, span in found if not window.cuts(span, len(text))]
    spans: dict[tuple[int, int, str], Span] = {}
    for window, span in found:
        if window.cuts(span, len(text)) and any(other != window and _is_part(span, longer) for other, longer in whole):
            continue
        known = spans.setdefault(span.key, span)
        if (span.confidence or 0) > (known.confidence or 0):
            spans[span.key] = span
    ungrounded = tuple(mention for _, extraction, _ in results for mention in extraction.ungrounded)
    return Extraction(tuple(spans.values()), ungrounded), tuple(problem for _, _, problems in results for problem in problems)


def _first_window(text: str, fits: Fits, seams: _Seams) -> Window:
    longest = _find_longest_end(text, 0, fits, _FIRST_GUESS)
    if longest == 0:
        raise _too_long(text, 0)
    return Window(0, _choose_end(text, 0, (longest + 1) // 2, longest, (fits, seams)))


def _next_window(text: str, fits: Fits, seams: _Seams, last: Window, overlap: int) -> Window:
    length = last.end - last.start
    shared = min(overlap, length // 2)
    latest = last.end - shared
    start = seams.last(latest - min(shared, length // 4), latest)[0]
    while True:
        longest = _find_longest_end(text, start, fits, length)
        if longest > last.end:
            lowest = max(last.end + 1, (start + longest + 1) // 2)
            return Window(start, _choose_end(text, start, lowest, longest, (fits, seams)))
        if start == last.end:
            raise _too_long(text, start)
        start += (last.end - start + 1) // 2  # less overlap, so that the window reaches beyond the last one


def _choose_end(text: str, start: int, lowest: int, longest: int, rules: tuple[Fits, _Seams]) -> int:
    """The best seam in [lowest, longest]; `longest`, which is known to fit, for the end of the text and as a last resort."""
    fits, seams = rules
    if longest == len(text):
        return longest
    # A tokenizer may need more tokens for a shorter piece, so a seam is believed only once it is seen to fit.
    return next(end for end in seams.last(lowest, longest) if end == longest or fits(text[start:end]))


def _find_longest_end(text: str, start: int, fits: Fits, guess: int) -> int:
    """The largest end for which `text[start:end]` fits; `start` where not even one character does."""
    low, high = start, len(text) + 1  # low fits (an empty piece does), high does not
    probe, step = min(start + guess, len(text)), max(1, guess // 8)
    while high - low > 1:
        if fits(text[start:probe]):
            low = probe
        else:
            high = probe
        if high > len(text):
            probe, step = min(low + step, len(text)), step * 2
        elif low == start:
            probe, step = max(high - step, start + 1), step * 2
        else:
            probe = (low + high) // 2
    return low


def _move(span: Span, offset: int) -> Span:
    return replace(span, start=span.start + offset, end=span.end + offset)


def _is_part(span: Span, longer: Span) -> bool:
    return span.type == longer.type and span.key != longer.key and longer.start <= span.start and span.end <= longer.end


def _too_long(text: str, place: int) -> DataError:
    return DataError(
        f"character {place} of the text ({text[place]!r}) does not fit into a window by itself",
        expected="a budget with room for some text besides the prompt",
        fix="raise prompt.max_input_tokens, or shorten the instruction and the descriptions of the types",
    )
