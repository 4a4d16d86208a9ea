"""A finding, and the log that collects findings while rows go by.

The log keeps a count and a line number (four bytes) of every place, and quotes only the first places: its memory does not
grow with the texts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from extune.data.checks.catalogue import KINDS, ROW_CODES, SEVERITIES, Severity
from extune.data.splits import SPLITS

QUOTED_CHARACTERS = 40
MOST_PLACES = 50


class Room(NamedTuple):
    """Where findings belong: a split and its file, or no split and a key of the recipe."""

    split: str | None
    file: str


@dataclass(frozen=True)
class Place:
    """One place of a finding.

    Attributes:
        line: 1-based; None where the finding is about the whole file or the recipe.
        quote: the beginning of the text, never the whole of it and at most 40 characters.
        detail: what is special about this place.
    """

    line: int | None
    quote: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """Something about the data that the user should know.

    Attributes:
        severity: an `error` would stop the training, `info` needs no action.
        code: a key of the catalogue.
        what: in words.
        fix: what to do.
        split: None where it is about the recipe.
        file: as the recipe names it, or a key of the recipe.
        count: of places; the first of them are in `places`.
        lines: 1-based, of all places that have one, ascending.
    """

    severity: Severity
    code: str
    what: str
    fix: str
    split: str | None
    file: str
    count: int
    places: tuple[Place, ...]
    lines: Sequence[int]

    @property
    def where(self) -> str:
        """File and line of the first place."""
        return self.locate(self.places[0])

    def locate(self, place: Place) -> str:
        """File and line of a place."""
        return self.file if place.line is None else f"{self.file}:{place.line}"

    def __str__(self) -> str:
        first = self.places[0]
        parts = [f"{self.severity}: {self.where}: {self.what}"]
        parts += [first.detail] if first.detail else []
        more = f" ({self.count} places)" if self.count > 1 else ""
        return ": ".join(parts) + f" [{self.code}]" + more

    def to_json(self) -> dict[str, Any]:
        """Plain values for a program."""
        return {
            "severity": self.severity,
            "code": self.code,
            "what": self.what,
            "fix": self.fix,
            "split": self.split,
            "file": self.file,
            "count": self.count,
            "lines": list(self.lines),
            "places": [{"line": one.line, "quote": one.quote, "detail": one.detail} for one in self.places],
        }


@dataclass
class _Entry:
    count: int = 0
    lines: array[int] = field(default_factory=lambda: array("I"))
    places: list[Place] = field(default_factory=list)


class FindingLog:
    """Collects findings by code and file.

    Args:
        skips_bad_rows: `data.on_bad_row` is `skip`, so that wrong rows are warnings.
    """

    def __init__(self, skips_bad_rows: bool) -> None:
        self._skips_bad_rows = skips_bad_rows
        self._entries: dict[tuple[str, Room], _Entry] = {}

    def add(self, code: str, room: Room, line: int | None, *, quote: str = "", detail: str = "") -> None:
        """Note one place."""
        entry = self._entries.setdefault((code, room), _Entry())
        entry.count += 1
        if line is not None:
            entry.lines.append(line)
        if len(entry.places) < MOST_PLACES:
            entry.places.append(Place(line, quote, detail))

    def unquoted_lines(self, room: Room) -> frozenset[int]:
        """Lines of places that have no quotation yet."""
        return frozenset(
            place.line
            for (_, one), entry in self._entries.items()
            if one == room
            for place in entry.places
            if place.line is not None and not place.quote
        )

    def quote(self, room: Room, line: int, text: str) -> None:
        """Give the places at this line that have no quotation the beginning of `text`."""
        for (_, one), entry in self._entries.items():
            if one == room:
                entry.places = [
                    replace(place, quote=quote_text(text)) if place.line == line and not place.quote else place
                    for place in entry.places
                ]

    def findings(self) -> tuple[Finding, ...]:
        """Errors first, then warnings, then the rest; each in the order of the catalogue, and of the splits."""
        codes = list(KINDS)
        splits: list[str | None] = [None, *SPLITS]
        found = [self._finding(code, room, entry) for (code, room), entry in self._entries.items()]
        return tuple(
            sorted(found, key=lambda one: (SEVERITIES.index(one.severity), codes.index(one.code), splits.index(one.split)))
        )

    def _finding(self, code: str, room: Room, entry: _Entry) -> Finding:
        kind = KINDS[code]
        severity: Severity = "warning" if self._skips_bad_rows and code in ROW_CODES else kind.severity
        places = tuple(sorted(entry.places, key=lambda place: place.line or 0))
        lines = array("I", sorted(entry.lines))
        return Finding(severity, code, kind.what, kind.fix, room.split, room.file, entry.count, places, lines)


def quote_text(text: str) -> str:
    """The beginning of a text: at most 40 characters and at most half of it."""
    line = " ".join(text.split())
    return line[: min(QUOTED_CHARACTERS, (len(line) + 1) // 2)] + "…"


def quote_mention(text: str) -> str:
    """An annotated string, at most 40 characters of it."""
    return text if len(text) <= QUOTED_CHARACTERS else text[: QUOTED_CHARACTERS - 1] + "…"


def iter_problems(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings that ask for action."""
    return (finding for finding in findings if finding.severity != "info")
