"""Which pieces of a text a list may still take. In: the text as a format writes it, and what the list has. Out: pieces.

It knows nothing about formats; a piece is bytes, because a token may end in the middle of a character.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

Rule = Literal["any", "once", "as often", "in order"]
"""How often a list may take a piece: always; once; as often as the text has it; or each piece begins behind the one before."""


class Copies:
    """The pieces of one text.

    Args:
        chunks: one escaped string for each character; a piece is a run of whole ones.
        rule: what a list may take.
    """

    def __init__(self, chunks: Sequence[str], rule: Rule) -> None:
        self._chunks = chunks
        self._rule = rule

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [chunk.encode() for chunk in self._chunks]

    @cached_property
    def _whole(self) -> bytes:
        return b"".join(self._encoded)

    @cached_property
    def _borders(self) -> list[int]:
        """Where chunks begin, and the end."""
        borders = [0]
        for chunk in self._encoded:
            borders.append(borders[-1] + len(chunk))
        return borders

    @cached_property
    def _starts(self) -> frozenset[int]:
        return frozenset(self._borders)

    @cached_property
    def reserve(self) -> int | None:
        """Bytes that always suffice to end a piece, or to write one; None where that depends on what the list has."""
        return max(map(len, self._encoded), default=0) if self._rule in ("any", "in order") else None

    def is_whole(self, piece: bytes) -> bool:
        """Whether `piece`, which begins with a chunk, ends with one."""
        place = next(self._places(piece, 0), None) if piece else None
        return place is not None and place + len(piece) in self._starts

    def may_stand(self, piece: bytes, listed: Sequence[bytes]) -> bool:
        """Whether a list may take this whole piece behind those that it has."""
        if self._rule == "in order":
            return next(self._places(piece, self._first(listed)), None) is not None
        return self._rule == "any" or self._is_left(piece, listed)

    def extend(self, beginning: bytes, listed: Sequence[bytes]) -> Iterator[bytes]:
        """Whole pieces that begin so and that the list may take: of each place in the text the shortest."""
        for place in self._places(beginning, self._first(listed)):
            for end in self._borders[bisect_left(self._borders, place + max(len(beginning), 1)) :]:
                piece = self._whole[place:end]
                if self._rule in ("any", "in order") or self._is_left(piece, listed):
                    yield piece
                    break

    def shortest(self, beginning: bytes, listed: Sequence[bytes]) -> bytes | None:
        """The shortest of `extend`, the first in the text among equals; None where there is none."""
        best: bytes | None = None
        for piece in self.extend(beginning, listed):
            if best is None or len(piece) < len(best):
                best = piece
            if len(best) <= max(len(beginning), 1):
                break
        return best

    def _first(self, listed: Sequence[bytes]) -> int:
        """Where the next piece may begin at the earliest."""
        first = 0
        if self._rule == "in order":
            for piece in listed:
                first = next(self._places(piece, first), len(self._whole)) + 1
        return first

    def _is_left(self, piece: bytes, listed: Sequence[bytes]) -> bool:
        used = listed.count(piece)
        if not used or self._rule == "once":
            return not used
        return used < sum(1 for _ in self._places(piece, 0))

    def _places(self, piece: bytes, first: int) -> Iterator[int]:
        """Where chunks begin at which the text reads so, from `first` on."""
        if not piece:
            yield from self._borders[bisect_left(self._borders, first) : -1]
            return
        place = self._whole.find(piece, first)
        while place >= 0:
            if place in self._starts:
                yield place
            place = self._whole.find(piece, place + 1)
