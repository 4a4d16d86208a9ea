"""Keeps an answer such that it can be ended within its budget, and its lists without pieces that they may not take again.

In: the shape of the answers to a prompt, a budget, and the tokens that the grammar allows. Out: which of them may come, and the
tokens that end the answer soonest. What is asked here depends on the tokens so far and on nothing else, so that it is the same
however they are chosen. It knows nothing about models and formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extune.domain.prompt import AnswerShape, Writing
from extune.engines.spelling import Spelled, Spelling


class Guard:
    """Watches over one answer, which the grammar rules besides.

    Args:
        shape: of the answers.
        spelling: of the vocabulary.
        stops: tokens that end an answer.
        budget: tokens that it may have, a stop included; None where it is not to be ended.

    Attributes:
        closed_at: characters that stood when free text was seen to run in a circle, for each circle, and when the answer was
            closed.
        closing: the tokens that are left of the shortest ending, a stop last; None as long as the model chooses.
    """

    def __init__(self, shape: AnswerShape, spelling: Spelling, stops: Sequence[int], budget: int | None) -> None:
        self._shape, self._spelling, self._stops = shape, spelling, stops
        self._left = budget
        self._written = bytearray()
        self._writing = shape.begin() if shape.reserve is None else None
        self._next: tuple[int, Writing | None] | None = None
        self.closed_at: list[int] = []
        self.closing: list[int] | None = None
        self.can_close = budget is not None and (self._is_ample(budget) or self._ends_within(self._now(), budget))

    @property
    def in_free_text(self) -> bool:
        """Whether free text is being written; circles in it end it."""
        return self._writing is not None and self._writing.in_free_text

    def count_allowed(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the first on, may follow one another."""
        if self.closing is not None:
            pairs = zip(tokens, self.closing, strict=False)
            return next(
                (count for count, (token, due) in enumerate(pairs) if token != due), min(len(tokens), len(self.closing))
            )
        if self._writing is None:
            return len(tokens)
        writing: Writing = self._writing
        for count, token in enumerate(tokens):
            if token in self._stops:
                return count + writing.may_end()
            following = self._after(token) if count == 0 else writing.after(self._spelling.read(token))
            if following is None:
                return count
            writing = following
        return len(tokens)

    def refine(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Take what may not come out of the tokens that the grammar allows, (V,)."""
        if self.closing is not None:
            allowed[:] = False
            allowed[self.closing[0]] = True
            return
        if self._writing is None:
            return
        if self._writing.circling:
            kept = [*self._spelling.with_newlines, *self._stops]
            others = allowed[kept]
            allowed[:] = False
            allowed[kept] = others
        tokens = self._spelling.with_newlines if self._writing.in_free_text else np.flatnonzero(allowed).tolist()
        for token in (*tokens, *self._stops):
            if allowed[token] and not self.count_allowed([token]):
                allowed[token] = False

    def leaves_room(self, token: int) -> bool:
        """Whether the answer can still be ended within its budget behind this token, which may come."""
        if self._left is None or not self.can_close or self.closing is not None or token in self._stops:
            return True
        left = self._left - 1
        if self._is_ample(left):
            return True
        following = self._after(token)
        return following is not None and self._ends_within(following, left)

    def close(self) -> int:
        """From now on only the shortest ending may come; its first token."""
        if self.closing is not None:
            return self.closing[0]
        self.closed_at.append(self._characters())
        self.closing = [*self._spell(self._now().closing()), self._stops[0]]
        return self.closing[0]

    def accept(self, token: int) -> None:
        """The answer has one token more, no stop."""
        if self.closing is not None:
            self.closing.pop(0)
        before, following = self._writing, None if self._writing is None else self._after(token)
        self._written += self._spelling.read(token)
        self._next = None
        self._left = None if self._left is None else self._left - 1
        if before is None:
            return
        if following is None:
            raise ValueError(f"token {token} may not come here")
        self._writing = following
        if following.circling and not before.circling:
            self.closed_at.append(self._characters())

    def _characters(self) -> int:
        """Whole characters that stand."""
        return len(self._written.decode(errors="ignore"))

    def _is_ample(self, left: int) -> bool:
        """Whether so many tokens suffice to end it from anywhere: no token reads less than a byte."""
        return self._shape.reserve is not None and left > self._shape.reserve

    def _now(self) -> Writing:
        """The answer so far."""
        if self._writing is not None:
            return self._writing
        found = self._shape.begin().after(bytes(self._written))
        if found is None:
            raise ValueError("the grammar allows what the shape of the answers does not")
        return found

    def _after(self, token: int) -> Writing | None:
        """The answer behind one more token."""
        if self._next is None or self._next[0] != token:
            self._next = token, self._now().after(self._spelling.read(token))
        return self._next[1]

    def _ends_within(self, writing: Writing, left: int) -> bool:
        """Whether so many tokens suffice to end it."""
        closing = writing.closing()
        return len(closing) < left or self._cost(closing) < left

    def _cost(self, closing: bytes) -> float:
        """Tokens of an ending without the stop."""
        head, place = self._split(closing)
        counts = self._spelling.spell(head).count(), self._empty.count(place)
        return sum(float("inf") if count is None else count for count in counts)

    def _spell(self, closing: bytes) -> list[int]:
        head, place = self._split(closing)
        return [*self._spelling.spell(head).tokens(), *self._empty.tokens(place)]

    @cached_property
    def _nothing(self) -> bytes:
        """The shortest answer of all."""
        return self._shape.begin().closing()

    @cached_property
    def _empty(self) -> Spelled:
        return self._spelling.spell(self._nothing)

    def _split(self, closing: bytes) -> tuple[bytes, int]:
        """A beginning, and where in the shortest answer of all the rest stands: such an ending may be as long as the text."""
        fewest, most = 0, min(len(closing), len(self._nothing))
        while fewest < most:
            half = (fewest + most + 1) // 2
            fewest, most = (half, most) if closing.endswith(self._nothing[-half:]) else (fewest, half - 1)
        while fewest and self._empty.count(len(self._nothing) - fewest) is None:
            fewest -= 1
        return closing[: len(closing) - fewest], len(self._nothing) - fewest
