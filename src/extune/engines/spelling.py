"""Bytes as tokens and back. In: a tokenizer as llguidance knows it. Out: the fewest tokens. It knows nothing about answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from llguidance import LLTokenizer

_NEWLINE = b"\n"


@dataclass(frozen=True)
class Spelled:
    """The fewest tokens that read each ending of some bytes.

    Attributes:
        steps: for each place the number of tokens from there on, the first of them, and the place behind it; None where no
            tokens read the rest.
    """

    steps: list[tuple[int, int, int] | None]

    def count(self, place: int = 0) -> int | None:
        """Tokens from `place` on."""
        step = self.steps[place]
        return None if step is None else step[0]

    def tokens(self, place: int = 0) -> list[int]:
        """The tokens from `place` on; there must be some."""
        tokens = []
        while (step := self.steps[place]) is not None and step[0]:
            tokens.append(step[1])
            place = step[2]
        return tokens


class Spelling:
    """What the tokens of a vocabulary read.

    Args:
        tokenizer: llguidance's.
    """

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def _readings(self) -> list[bytes]:
        """Of every token; special ones read nothing."""
        special = self._tokenizer.is_special_token
        return [b"" if special(id_) else self._tokenizer.decode_bytes([id_]) for id_ in range(self._tokenizer.vocab_size)]

    @cached_property
    def _tokens(self) -> dict[bytes, int]:
        """Token by what it reads; of several the last, because single bytes come first."""
        return {reading: token for token, reading in enumerate(self._readings) if reading}

    @cached_property
    def is_total(self) -> bool:
        """Whether tokens can read any text: there is one for every byte that UTF-8 has."""
        return all(bytes((byte,)) in self._tokens for byte in (*range(0xC0), *range(0xC2, 0xF5)))

    @cached_property
    def _longest(self) -> dict[int, int]:
        """Bytes of the longest token by its first byte."""
        longest: dict[int, int] = {}
        for reading in self._tokens:
            longest[reading[0]] = max(longest.get(reading[0], 0), len(reading))
        return longest

    @cached_property
    def with_newlines(self) -> list[int]:
        """Tokens that hold a newline."""
        return [token for token, reading in enumerate(self._readings) if _NEWLINE in reading]

    def read(self, token: int) -> bytes:
        """What a token reads; nothing where it is special."""
        return self._readings[token]

    def spell(self, written: bytes) -> Spelled:
        """The fewest tokens that read `written`, and each of its endings."""
        steps: list[tuple[int, int, int] | None] = [None] * len(written) + [(0, 0, 0)]
        for place in range(len(written) - 1, -1, -1):
            last = min(place + self._longest.get(written[place], 0), len(written))
            for end in range(last, place, -1):
                behind, token = steps[end], self._tokens.get(written[place:end])
                best = steps[place]
                if behind is not None and token is not None and (best is None or behind[0] + 1 < best[0]):
                    steps[place] = (behind[0] + 1, token, end)
        return Spelled(steps)
