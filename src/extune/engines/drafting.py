"""Guesses how an answer goes on, to have several tokens judged in one forward pass.

In: ids of a prompt, of the answer so far, and its grammar. Out: ids that may come next. A wrong guess costs time and changes
nothing: whoever decodes compares. It knows nothing about models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from extune.engines.constraint import Matcher

_COMPARED = 3  # tokens before a place in the prompt that are compared with the end of the answer


class Drafter:
    """Drafts of one answer: what the grammar forces, then the prompt's own words (Saxena 2023, prompt lookup decoding).

    Args:
        prompt: ids to copy from.
        longest: tokens of a draft.
    """

    def __init__(self, prompt: Sequence[int], longest: int) -> None:
        self._prompt = prompt
        self._longest = longest
        self._places: dict[int, list[int]] = defaultdict(list)
        for place, token in enumerate(prompt):
            self._places[token].append(place)
        self._last = 0  # answers copy from left to right

    def draft(self, answer: Sequence[int], matcher: Matcher | None, room: int) -> list[int]:
        """At most `room` tokens that may follow; none where nothing is known."""
        longest = min(self._longest, room)
        if longest <= 0:
            return []
        forced = matcher.forced() if matcher is not None else []
        if forced:
            return forced[:longest]
        copied = self._copy(answer, longest)
        return copied if matcher is None or not copied else copied[: matcher.count_allowed(copied)]

    def _copy(self, answer: Sequence[int], longest: int) -> list[int]:
        """What follows the end of the answer in the prompt: longest agreement first, then the next place on the right."""
        places = self._places.get(answer[-1], ())
        best = max(places, key=lambda place: (self._agreement(answer, place), place >= self._last, -place), default=None)
        if best is None:
            return []
        self._last = best
        return list(self._prompt[best + 1 : best + 1 + longest])

    def _agreement(self, answer: Sequence[int], place: int) -> int:
        count = 1
        limit = min(_COMPARED, len(answer), place + 1)
        while count < limit and answer[-1 - count] == self._prompt[place - count]:
            count += 1
        return count
