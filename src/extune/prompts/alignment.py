"""Mentions get their offsets back; a completion becomes an extraction.

In: a text and the items that a format parsed. Out: spans, and what found no place. It knows no format's syntax and no model.

An item with a position keeps it. The others are placed longest first (ties: order of the completion). Answers are written in
text order, so the neighbours of an item's own type bound where it can stand: its window. It takes the first occurrence in its
window that overlaps nothing placed; failing that, the first there that no item of its type uses (nesting); failing that, the
same in the whole text. Items that the text does not contain come last and are searched ignoring width, case and white space.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.formats.base import AnswerFormat, ItemScorer, Parsed, ParsedItem, make_problem

Interval = tuple[int, int]  # half-open, in characters of the text


@dataclass(frozen=True)
class Alignment:
    """Where the items stand. Numbers are indices into the aligned items, ascending.

    Attributes:
        placed: item and its span; `span.text` is the text's own spelling where the search was folded.
        ungrounded: items that the text does not contain.
        duplicates: items beyond the occurrences of their string that their type leaves free.
        open_items: placed items whose string occurs more often than items of their type name it: which occurrence is
            meant is this module's guess.
    """

    placed: tuple[tuple[int, Span], ...]
    ungrounded: tuple[int, ...]
    duplicates: tuple[int, ...]
    open_items: int


def read_extraction(
    task: ExtractionTask,
    answer_format: AnswerFormat[ExtractionTask, Extraction],
    text: str,
    completion: str,
    score: ItemScorer | None = None,
) -> tuple[Extraction, tuple[Problem, ...]]:
    """Parse a completion and ground its mentions, as `ground` does."""
    return ground(text, answer_format.parse_completion(task, text, completion), score)


def ground(text: str, parsed: Parsed, score: ItemScorer | None = None) -> tuple[Extraction, tuple[Problem, ...]]:
    """Give what was parsed its offsets, and confidences where `score` gives one.

    Never raises: what is wrong becomes a problem.
    """
    alignment = align(text, parsed.items)
    problems = list(parsed.problems)
    for kind, numbers in ((ProblemKind.UNGROUNDED, alignment.ungrounded), (ProblemKind.DUPLICATE, alignment.duplicates)):
        problems += [make_problem(kind, parsed.items[number].text) for number in numbers]
    ungrounded = tuple(Mention(parsed.items[number].type, parsed.items[number].text) for number in alignment.ungrounded)
    spans = (
        span if score is None else replace(span, confidence=score(parsed.items[number])) for number, span in alignment.placed
    )
    return Extraction(tuple(spans), ungrounded), tuple(problems)


def align(text: str, items: Sequence[ParsedItem]) -> Alignment:
    """Give every item a place in `text` where there is one. Deterministic; the same span is never given twice."""
    searched = _SearchedText(text)
    exact = [number for number, item in enumerate(items) if not searched.is_positioned(item) and item.text in text]
    windows = _bound_windows(text, items, exact)
    order = sorted(range(len(items)), key=lambda number: (searched.rank(items[number]), -len(items[number].text)))
    placed: dict[int, Span] = {}
    ungrounded, duplicates = [], []
    for number in order:
        item = items[number]
        place = searched.find_place(item, windows.get(number))
        if place is not None:
            placed[number] = searched.put(item.type, place)
        elif searched.contains(item.text):
            duplicates.append(number)
        else:
            ungrounded.append(number)
    uses = Counter((items[number].type, items[number].text) for number in placed if not searched.is_positioned(items[number]))
    return Alignment(
        placed=tuple((number, placed[number]) for number in sorted(placed)),
        ungrounded=tuple(sorted(ungrounded)),
        duplicates=tuple(sorted(duplicates)),
        open_items=sum(count for (_, string), count in uses.items() if searched.occurs_more_often(string, count)),
    )


def _bound_windows(text: str, items: Sequence[ParsedItem], numbers: Sequence[int]) -> dict[int, Interval]:
    """For each of `numbers` the interval in which its item stands if its type's items are written in text order.

    A pass forwards finds the earliest place of each item behind its predecessor, a pass backwards the latest. An item that
    breaks the order has no window.
    """
    by_type: dict[str, list[int]] = {}
    for number in numbers:
        by_type.setdefault(items[number].type, []).append(number)
    windows: dict[int, Interval] = {}
    for members in by_type.values():
        earliest: dict[int, int] = {}
        place, before = 0, ""
        for number in members:
            string = items[number].text
            start = text.find(string, place + (string == before))
            if start >= 0:
                earliest[number], place, before = start, start, string
        place, before = len(text), ""
        for number in reversed(members):
            string = items[number].text
            start = text.rfind(string, 0, place + len(string) - (string == before))
            if start >= 0:
                place, before = start, string
                if earliest.get(number, len(text)) <= start:
                    windows[number] = earliest[number], start + len(string)
    return windows


class _SearchedText:
    """A text, which of its characters are taken, and which spans were given away."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._taken = bytearray(len(text))
        self._used: set[tuple[str, Interval]] = set()
        self._folded: tuple[str, list[int]] | None = None
        self._folded_places: dict[str, tuple[Interval, ...]] = {}

    def rank(self, item: ParsedItem) -> int:
        """Positioned items come first, then exact ones, then the rest."""
        return 0 if self.is_positioned(item) else 1 if item.text in self._text else 2

    def is_positioned(self, item: ParsedItem) -> bool:
        """True where the item says its position and the text agrees."""
        return item.source_start is not None and self._text.startswith(item.text, item.source_start)

    def contains(self, string: str) -> bool:
        """True where the text contains `string`, exactly or folded."""
        return string in self._text or bool(self._find_folded(string))

    def occurs_more_often(self, string: str, count: int) -> bool:
        """True where `string` has more than `count` (possibly overlapping) occurrences."""
        if string not in self._text:
            return len(self._find_folded(string)) > count
        start = -1
        for _ in range(count + 1):
            start = self._text.find(string, start + 1)
            if start < 0:
                return False
        return True

    def find_place(self, item: ParsedItem, window: Interval | None) -> Interval | None:
        """The place for `item`, or None where its type uses all there are."""
        if item.source_start is not None and self.is_positioned(item):
            places = [(item.source_start, item.source_start + len(item.text))]
            return self._find_unused(item.type, places)
        if item.text not in self._text:
            places = list(self._find_folded(item.text))
            return next((place for place in places if self._is_free(place)), None) or self._find_unused(item.type, places)
        for start, end in (window, (0, len(self._text))) if window else ((0, len(self._text)),):
            place = self._find_free_exact(item.text, start, end) or self._find_unused(
                item.type, self._iterate_exact(item.text, start, end)
            )
            if place is not None:
                return place
        return None

    def put(self, type_name: str, place: Interval) -> Span:
        """Give `place` to `type_name`."""
        start, end = place
        self._taken[start:end] = b"\1" * (end - start)
        self._used.add((type_name, place))
        return Span(type_name, self._text[start:end], start, end)

    def _is_free(self, place: Interval) -> bool:
        return self._taken.find(1, *place) < 0

    def _find_unused(self, type_name: str, places: Iterable[Interval]) -> Interval | None:
        """The first of `places` that was not given to `type_name`."""
        return next((place for place in places if (type_name, place) not in self._used), None)

    def _find_free_exact(self, string: str, start: int, end: int) -> Interval | None:
        """The first occurrence in `[start, end)` that overlaps nothing placed; what is taken is stepped over at once."""
        while (start := self._text.find(string, start, end)) >= 0:
            last_taken = self._taken.rfind(1, start, start + len(string))
            if last_taken < 0:
                return start, start + len(string)
            start = last_taken + 1
        return None

    def _iterate_exact(self, string: str, start: int, end: int) -> Iterable[Interval]:
        while (start := self._text.find(string, start, end)) >= 0:
            yield start, start + len(string)
            start += 1

    def _find_folded(self, string: str) -> tuple[Interval, ...]:
        """Places of `string` in the text, ignoring width, case and white space; whole characters only."""
        if string not in self._folded_places:
            if self._folded is None:
                self._folded = _fold(self._text)
            self._folded_places[string] = tuple(_iterate_folded(*self._folded, _fold(string)[0]))
        return self._folded_places[string]


def _iterate_folded(folded: str, origins: Sequence[int], wanted: str) -> Iterable[Interval]:
    """Places in the original text at which `wanted` stands in the folded text and tears no original character."""
    start = folded.find(wanted) if wanted else -1
    while start >= 0:
        end = start + len(wanted)
        begins_whole = start == 0 or origins[start - 1] != origins[start]
        ends_whole = end == len(folded) or origins[end - 1] != origins[end]
        if begins_whole and ends_whole:
            yield origins[start], origins[end - 1] + 1
        start = folded.find(wanted, start + 1)


def _fold(text: str) -> tuple[str, list[int]]:
    """The folded text and, for each of its characters, the index of the character it came from."""
    pieces = [_fold_character(character) for character in text]
    return "".join(pieces), [number for number, piece in enumerate(pieces) for _ in piece]


@lru_cache(maxsize=1 << 16)
def _fold_character(character: str) -> str:
    """Compatibility decomposition (UAX 15) without case and white space; may be empty or several characters."""
    return "".join(unicodedata.normalize("NFKD", character).casefold().split())
