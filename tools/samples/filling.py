"""Templates with slots become texts with annotated spans.

A slot is `{kind}` or `{kind1}`: the same kind and number in one text is the same value. `(a|b)` is one of the alternatives.
In: template, a function from kinds to values. Out: text and spans. It knows nothing about medicine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from random import Random

_SLOT = re.compile(r"\{([^\d{}]+)(\d*)\}")
_ALTERNATIVES = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Piece:
    """Part of a text: literal where `type` is None, else a mention."""

    text: str
    type: str | None = None


@dataclass(frozen=True)
class Mark:
    """A typed half-open character interval of a text."""

    start: int
    end: int
    type: str


Value = tuple[Piece, ...]


def choose(template: str, random: Random) -> str:
    """The template with one of each `(alternative|other)`."""
    return _ALTERNATIVES.sub(lambda found: random.choice(found[1].split("|")), template)


def expansions(template: str) -> Iterator[str]:
    """Every template that `choose` can return."""
    literals = _ALTERNATIVES.split(template)  # literal, alternatives, literal, ...
    yield from map("".join, product(*(part.split("|") if place % 2 else (part,) for place, part in enumerate(literals))))


def fill(template: str, draw: Callable[[str], Value], remembered: dict[str, Value]) -> Value:
    """The pieces of one filled template.

    Args:
        template: literal text with slots.
        draw: makes the value of a slot from its kind.
        remembered: values of numbered slots, shared by the templates of one text; extended here.
    """
    pieces: list[Piece] = []
    place = 0
    for slot in _SLOT.finditer(template):
        pieces.append(Piece(template[place : slot.start()]))
        kind, number = slot.groups()
        if number:
            key = kind + number
            if key not in remembered:
                remembered[key] = draw(kind)
            pieces.extend(remembered[key])
        else:
            pieces.extend(draw(kind))
        place = slot.end()
    pieces.append(Piece(template[place:]))
    return tuple(piece for piece in pieces if piece.text)


def join(pieces: Value) -> tuple[str, list[Mark]]:
    """The text, and a mark for every piece that is a mention."""
    marks = []
    place = 0
    for piece in pieces:
        if piece.type is not None:
            marks.append(Mark(place, place + len(piece.text), piece.type))
        place += len(piece.text)
    return "".join(piece.text for piece in pieces), marks


def fill_plain(template: str, draw: Callable[[str], str]) -> str:
    """The filled template where nothing is annotated; equal slots with a number have equal values."""
    return join(fill(template, lambda kind: (Piece(draw(kind)),), {}))[0]


def skeleton(template: str) -> str:
    """The template without slots and punctuation: what must differ between splits."""
    return re.sub(r"\W+", "", _SLOT.sub("", template))
