"""What was decided about the rows of a file, or lost of them, counted, each with the first places. In: sentences. Out: notes.

It knows nothing about rows.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from extune.domain.example import Source

_SHOWN_PLACES = 3


class Tally:
    """Counts sentences and remembers where each was said first."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}

    @property
    def total(self) -> int:
        """Everything that was counted."""
        return self._counts.total()

    def add(self, what: str, source: Source | str, count: int = 1) -> None:
        """Count `what`, which completes "N times: ..."; nothing where `count` is 0."""
        if not count:
            return
        self._counts[what] += count
        places = self._places.setdefault(what, [])
        if str(source) not in places and len(places) < _SHOWN_PLACES:
            places.append(str(source))

    def merge(self, other: Tally) -> None:
        """Count all that another file's tally has."""
        for what, count in other._counts.items():
            self._counts[what] += count
            places = self._places.setdefault(what, [])
            places += other._places[what][: _SHOWN_PLACES - len(places)]

    def notes(self) -> list[str]:
        """One note per sentence, in the order in which they were first said."""
        return [f"{count} times: {what} (first in {', '.join(self._places[what])})" for what, count in self._counts.items()]


class Place(NamedTuple):
    """Where a row stands, and where its reader counts what it decided."""

    source: Source
    tally: Tally
