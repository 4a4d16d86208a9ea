"""Strings without label that are labelled almost everywhere else: probable misses of the annotators.

In: examples of all splits, once to learn what is labelled and once to look for what is not. Out: places.

The rule. A string of two or more characters is *known* where it is labelled in at least 5 places, 9 of 10 times with the same
type. A *free* occurrence of it is one that no span touches; of strings that begin at one place the longest counts; inside a
Latin word or a number there is none. Its free occurrences are reported where they are at most one of ten occurrences: a
string that is often left out is left out on purpose, or is ambiguous.

Memory: strings that were seen once are forgotten whenever a million different ones are known, so a string can be overlooked
there, never falsely reported; of free occurrences as many are kept as can be reported at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from extune.domain.annotation import Extraction
from extune.domain.example import Example

LABELLED_AT_LEAST = 5
SAME_TYPE = 0.9
LABELLED_SHARE = 0.9
_SHORTEST = 2
_MOST_STRINGS = 1_000_000


class Occurrence(NamedTuple):
    """Where a known string stands without label."""

    split: str
    line: int
    start: int


class Miss(NamedTuple):
    """A free occurrence, the type that the string has elsewhere, and in how many places."""

    split: str
    line: int
    start: int
    text: str
    type: str
    labelled: int


class Lexicon:
    """What is labelled, learned by `learn`; after `freeze`, `scan` finds free occurrences, and `misses` the improbable ones."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._known: dict[str, tuple[str, int]] = {}
        self._lengths: dict[str, list[int]] = {}
        self._free: dict[str, list[Occurrence]] = {}
        self._free_counts: Counter[str] = Counter()

    def learn(self, example: Example) -> None:
        """Count the strings that are labelled in this example."""
        if isinstance(example.gold, Extraction):
            for span in example.gold.spans:
                if len(span.text) >= _SHORTEST:
                    self._counts[span.text, span.type] += 1
        if len(self._counts) > _MOST_STRINGS:
            self._counts = Counter({key: count for key, count in self._counts.items() if count > 1})

    def freeze(self) -> None:
        """Keep the known strings only."""
        totals: Counter[str] = Counter()
        for (text, _), count in self._counts.items():
            totals[text] += count
        for (text, kind), count in self._counts.items():
            if count >= LABELLED_AT_LEAST and count >= SAME_TYPE * totals[text]:
                self._known[text] = kind, totals[text]
        self._counts.clear()
        for text in self._known:
            self._lengths.setdefault(text[:_SHORTEST], []).append(len(text))
        self._lengths = {head: sorted(set(lengths), reverse=True) for head, lengths in self._lengths.items()}

    @property
    def is_empty(self) -> bool:
        """True where no string is known."""
        return not self._known

    def scan(self, split: str, line: int, example: Example) -> None:
        """Note the free occurrences in this example."""
        if not isinstance(example.gold, Extraction):
            return
        for start, text in self._find(example.text):
            end = start + len(text)
            if any(span.start < end and start < span.end for span in example.gold.spans):
                continue
            self._free_counts[text] += 1
            if self._is_reported(text):
                self._free.setdefault(text, []).append(Occurrence(split, line, start))
            else:
                self._free.pop(text, None)

    def misses(self) -> Iterator[Miss]:
        """The free occurrences of strings that are labelled almost everywhere."""
        for text, occurrences in self._free.items():
            kind, labelled = self._known[text]
            yield from (Miss(*one, text, kind, labelled) for one in occurrences)

    def _is_reported(self, text: str) -> bool:
        labelled = self._known[text][1]
        return labelled >= LABELLED_SHARE * (labelled + self._free_counts[text])

    def _find(self, text: str) -> Iterator[tuple[int, str]]:
        """Known strings with their start, from left to right, without overlap, the longest at each place."""
        place = 0
        while place < len(text) - 1:
            for length in self._lengths.get(text[place : place + _SHORTEST], ()):
                piece = text[place : place + length]
                if piece in self._known and not _is_in_word(text, place, place + length):
                    yield place, piece
                    place += length - 1
                    break
            place += 1


def _is_in_word(text: str, start: int, end: int) -> bool:
    """True where a Latin word or a number goes on before or after `text[start:end]`."""
    seams = text[max(start - 1, 0) : start + 1], text[end - 1 : end + 1]
    return any(len(seam) == 2 and seam.isascii() and seam.isalnum() for seam in seams)
