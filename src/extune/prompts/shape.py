"""What may still come of an answer that is being written, and how it ends soonest.

In: the parts that a format makes its answers of, then an answer's bytes as they come. Out: whether it can still become whole,
and the shortest bytes that make it so. The grammar says what is allowed byte by byte; a shape repeats its structure and adds
what grammars cannot say: which pieces a list already has, and that free text runs in a circle. It trusts the grammar with the
rest. It knows no format, no tokens and no models.

A part is a value. What comes behind it is a chain of parts, `Rest`; what lists already have is `Pieces`. Where a byte can be
read in two ways, an answer has several states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeAlias

from extune.prompts.circles import runs_in_a_circle

_CHECKED_EVERY, _SHORTEST_CIRCLE = 8, 60  # characters
_NEWLINE, _BACKSLASH = 0x0A, 0x5C

Pieces: TypeAlias = tuple[tuple[str, bytes], ...]
"""Pieces that stand, each with the name of its list, in the order of the answer."""
Rest: TypeAlias = "tuple[Part, Rest] | None"


class Part(Protocol):
    """A part of an answer."""

    @property
    def reserve(self) -> int | None:
        """Bytes that suffice to end it from any place within it; None where it must be watched from its beginning."""

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """The states before its first byte."""

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """The shortest bytes that end it, and the pieces then; None where it cannot end."""


class Leaf(Part, Protocol):
    """A part whose next byte is its own."""

    def grow(self, byte: int) -> Part | None:
        """What remains of it behind this byte; None where that is not its next."""

    def leave(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """The states behind it, where it may end here."""


@dataclass(frozen=True, slots=True)
class State:
    """One way to read an answer so far: `leaf` is being written, None at the end of the answer."""

    leaf: Leaf | None
    rest: Rest
    pieces: Pieces

    def step(self, byte: int) -> Iterator[State]:
        """The states behind one more byte."""
        if self.leaf is None:
            return
        grown = self.leaf.grow(byte)
        if grown is not None:
            yield from grown.begin(self.rest, self.pieces)
        for state in self.leaf.leave(self.rest, self.pieces):
            yield from state.step(byte)

    def may_end(self) -> bool:
        """Whether the answer may end here."""
        return self.leaf is None or any(state.may_end() for state in self.leaf.leave(self.rest, self.pieces))

    def closing(self) -> bytes | None:
        """The shortest bytes that end the answer."""
        if self.leaf is None:
            return b""
        found = finish_all((self.leaf, self.rest), self.pieces)
        return None if found is None else found[0]


@dataclass(frozen=True, slots=True)
class Writing:
    """An answer so far."""

    states: tuple[State, ...]

    @property
    def in_free_text(self) -> bool:
        """Free text of one line is being written, of which nothing need be watched but its end."""
        return len(self.states) == 1 and isinstance(self.states[0].leaf, Free)

    @property
    def circling(self) -> bool:
        """That free text runs in a circle: it may only end."""
        return any(isinstance(state.leaf, Free) and state.leaf.circling for state in self.states)

    def after(self, written: bytes) -> Writing | None:
        """The answer with more bytes; None where it could not become whole any more."""
        states = self.states
        for byte in written:
            states = tuple(following for state in states for following in state.step(byte))
        return Writing(states) if states else None

    def may_end(self) -> bool:
        """Whether it is whole."""
        return any(state.may_end() for state in self.states)

    def closing(self) -> bytes:
        """The shortest bytes that make it whole; the first among equals."""
        found = [closing for state in self.states if (closing := state.closing()) is not None]
        return min(found, key=len)


@dataclass(frozen=True)
class Shape:
    """All answers to one text."""

    root: Part

    @cached_property
    def reserve(self) -> int | None:
        """Bytes that suffice to end an answer from anywhere; None where answers must be watched from their beginning."""
        return self.root.reserve

    def begin(self) -> Writing:
        """An answer without a byte."""
        return Writing(tuple(self.root.begin(None, ())))


@dataclass(frozen=True, slots=True)
class Literal:
    """These bytes."""

    left: bytes

    @property
    def reserve(self) -> int:
        """All of it."""
        return len(self.left)

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Before the next byte, or behind the last."""
        return iter((State(self, rest, pieces),)) if self.left else enter(rest, pieces)

    def grow(self, byte: int) -> Literal | None:
        """The other bytes."""
        return Literal(self.left[1:]) if self.left[0] == byte else None

    def leave(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """None: there is a byte left."""
        del rest, pieces
        return iter(())

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces]:
        """What is left of it."""
        return self.left, pieces


def literal(text: str) -> Literal:
    """This text."""
    return Literal(text.encode())


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of several parts."""

    options: Sequence[Part]

    @property
    def reserve(self) -> int | None:
        """That of the option that needs most."""
        return _most(option.reserve for option in self.options)

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Every option's."""
        for option in self.options:
            yield from option.begin(rest, pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """The shortest option."""
        found = [end for option in self.options if (end := option.finish(pieces)) is not None]
        return min(found, key=lambda end: len(end[0]), default=None)


@dataclass(frozen=True, slots=True)
class Chain:
    """Parts one behind the other."""

    parts: Sequence[Part]

    @property
    def reserve(self) -> int | None:
        """That of the part from which the rest of the chain takes most."""
        reserves = []
        for number, part in enumerate(self.parts):
            behind = finish_all(_link(self.parts[number + 1 :], None), (("", b""),))
            reserves.append(None if part.reserve is None or behind is None else part.reserve + len(behind[0]))
        return _most(reserves)

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """The first part's."""
        return enter(_link(self.parts, rest), pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """All of them."""
        return finish_all(_link(self.parts, None), pieces)


@dataclass(frozen=True, slots=True)
class Subset:
    """At least one of several parts, each at most once, in their order, apart by a separator.

    Attributes:
        others: a part stands already; what may come are later ones.
    """

    parts: Sequence[Part]
    separator: bytes
    others: bool = False

    @property
    def reserve(self) -> int | None:
        """From within a part, or from before the separator's last byte."""
        found = OneOf(self.parts).finish(())
        within = _most(part.reserve for part in self.parts)
        if found is None or within is None:
            return None
        longest = max(len(end[0]) for part in self.parts if (end := part.finish(())) is not None)
        return max(within, len(self.separator) + longest)

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Every part's; or behind a part the end and the separator."""
        if self.others:
            yield from enter(rest, pieces)
            if self.parts:
                yield State(Literal(self.separator), (replace(self, others=False), rest), pieces)
            return
        for number, part in enumerate(self.parts):
            yield from part.begin((Subset(self.parts[number + 1 :], self.separator, others=True), rest), pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """The shortest part, or no further one."""
        return (b"", pieces) if self.others else OneOf(self.parts).finish(pieces)


@dataclass(frozen=True, slots=True)
class Free:
    r"""Any text of one line, in which newline and `\` are escaped; it ends with its line.

    Attributes:
        missing: bytes of its last character that are still to come.
        characters: that stand.
        escaping: its last character begins an escape.
        circling: it runs in a circle; it may only end.
    """

    written: bytes = b""
    missing: int = 0
    characters: int = 0
    escaping: bool = False
    circling: bool = False

    @property
    def reserve(self) -> None:
        """None: circles are looked for."""
        return

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """One."""
        yield State(self, rest, pieces)

    def grow(self, byte: int) -> Free | None:
        """One byte more."""
        if byte == _NEWLINE or self.circling:
            return None
        written = self.written + bytes((byte,))
        missing = self.missing - 1 if self.missing else _count_continuations(byte)
        characters = self.characters + (not missing)
        escaping = byte == _BACKSLASH and not self.escaping
        circling = not missing and not escaping and characters % _CHECKED_EVERY == 0 and _is_circle(written)
        return Free(written, missing, characters, escaping, circling)

    def leave(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Behind whole characters."""
        return iter(()) if self.missing or self.escaping or not self.written else enter(rest, pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces]:
        """The rest of the last character; `-` where there is none."""
        if self.missing:
            return _complete_character(self.written, self.missing), pieces
        return (b"\\" if self.escaping else b"" if self.written else b"-"), pieces


def enter(rest: Rest, pieces: Pieces) -> Iterator[State]:
    """The states at the beginning of a chain."""
    if rest is None:
        return iter((State(None, None, pieces),))
    part, behind = rest
    return part.begin(behind, pieces)


def _link(parts: Sequence[Part], rest: Rest) -> Rest:
    for part in reversed(parts):
        rest = (part, rest)
    return rest


def finish_all(rest: Rest, pieces: Pieces) -> tuple[bytes, Pieces] | None:
    """The shortest bytes that end a chain, part by part."""
    written = b""
    while rest is not None:
        part, rest = rest
        found = part.finish(pieces)
        if found is None:
            return None
        written, pieces = written + found[0], found[1]
    return written, pieces


def _most(reserves: Iterable[int | None]) -> int | None:
    """The largest; None where one is None."""
    most = 0
    for reserve in reserves:
        if reserve is None:
            return None
        most = max(most, reserve)
    return most


def _count_continuations(byte: int) -> int:
    """Bytes behind the first of a character in UTF-8."""
    return (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)


def _complete_character(written: bytes, missing: int) -> bytes:
    """Bytes that make a character of its beginning at the end of `written`."""
    first = max(place for place in range(len(written)) if written[place] >= 0xC0)
    for second in (0x80, 0x90, 0xA0):  # behind E0 and F0 there are no 80
        ending = bytes([second, 0x80, 0x80][:missing])
        if _is_character(written[first:] + ending):
            return ending
    raise ValueError(f"{written[first:]!r} begins no character")


def _is_character(encoded: bytes) -> bool:
    return len(encoded.decode(errors="ignore")) == 1


def _is_circle(written: bytes) -> bool:
    return runs_in_a_circle(written.decode(errors="replace"), _SHORTEST_CIRCLE)
