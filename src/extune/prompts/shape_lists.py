"""Parts of answers that list pieces of the text: what is copied, which list it comes into, and whether more may come.

In: pieces that stand. Out: states and shortest endings, as `prompts/shape.py` says. It knows no format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from extune.prompts.copies import Copies
from extune.prompts.shape import Chain, Literal, Part, Pieces, Rest, State, enter, literal

_OPEN = ""  # the list of a piece that is not in one yet


@dataclass(frozen=True, slots=True)
class Copied:
    """A piece of the text, which `Filed` then puts into one of the lists in `names`."""

    copies: Copies
    names: tuple[str, ...]
    piece: bytes = b""

    @property
    def reserve(self) -> int | None:
        """The longest character."""
        return self.copies.reserve

    def can_go_on(self, pieces: Pieces) -> bool:
        """Whether a piece that begins so may still come into one of its lists."""
        return any(True for name in self.names for _ in self.copies.extend(self.piece, _listed(name, pieces)))

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """One, unless no piece can come of it."""
        if self.can_go_on(pieces):
            yield State(self, rest, pieces)

    def grow(self, byte: int) -> Copied:
        """A longer piece, whatever it is: `begin` looks whether the text has it."""
        return replace(self, piece=self.piece + bytes((byte,)))

    def leave(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Behind a whole piece."""
        return enter(rest, (*pieces, (_OPEN, self.piece))) if self.copies.is_whole(self.piece) else iter(())

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """The shortest piece that begins so."""
        found = [self.copies.shortest(self.piece, _listed(name, pieces)) for name in self.names]
        best = min((piece for piece in found if piece is not None), key=len, default=None)
        return None if best is None else (best[len(self.piece) :], (*pieces, (_OPEN, best)))


@dataclass(frozen=True, slots=True)
class Filed:
    """No bytes: the piece just copied comes into a list, or, where the list may not take it, the answer does not go on so."""

    copies: Copies
    name: str

    @property
    def reserve(self) -> int:
        """Nothing."""
        return 0

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """What is behind it, with the piece in its list."""
        found = self.finish(pieces)
        return iter(()) if found is None else enter(rest, found[1])

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """Nothing to write."""
        piece = pieces[-1][1]
        if not self.copies.may_stand(piece, _listed(self.name, pieces)):
            return None
        return b"", (*pieces[:-1], (self.name, piece))


@dataclass(frozen=True, slots=True)
class Series:
    """One or more items apart by a separator, as long as `copied`, the beginning of an item, finds a piece.

    Attributes:
        others: an item stands already; what may come are further ones.
    """

    item: Part
    separator: bytes
    copied: Copied
    others: bool = False

    @property
    def reserve(self) -> int | None:
        """From before the separator."""
        within = self.item.reserve
        return None if within is None else len(self.separator) + within

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """The first item's; or behind an item the end and the separator."""
        following = (self.item, (replace(self, others=True), rest))
        if not self.others:
            yield from enter(following, pieces)
            return
        yield from enter(rest, pieces)
        if self.copied.can_go_on(pieces):
            yield State(Literal(self.separator), following, pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces] | None:
        """No further item."""
        return (b"", pieces) if self.others else self.item.finish(pieces)


def _listed(name: str, pieces: Pieces) -> list[bytes]:
    return [piece for listed, piece in pieces if listed == name]


def list_pieces(copies: Copies, name: str, separator: str, quote: str = "") -> Series:
    """A list of pieces, each between quotes."""
    copied = Copied(copies, (name,))
    return Series(Chain((literal(quote), copied, Filed(copies, name), literal(quote))), separator.encode(), copied)
