"""What a tokenizer and the token budgets make of the data. In: examples and a `Tokenizing`. Out: facts, codes and details.

It knows no tokenizer: a stage hands one in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from extune.data.checks.report import SplitFacts
from extune.domain.example import Example
from extune.errors import DataError, FormatError

Outcome = Literal["kept", "dropped", "windowed", "shortened"]
HIGH_FERTILITY = 1.5
_NEIGHBOUR = "一"
_MOST_NAMED = 10


@dataclass(frozen=True)
class Measured:
    """One example, encoded.

    Attributes:
        tokens: of the text alone.
        longest: tokens of prompt and answer together, of the longest window.
        outcome: what became of it under the budgets.
        open_occurrences: mentions whose place the answer format leaves open.
    """

    tokens: int
    longest: int
    outcome: Outcome
    open_occurrences: int


class Tokenizing(Protocol):
    """What the doctor needs of a tokenizer and an encoder."""

    def measure(self, example: Example, split: str, /) -> Measured:
        """Encode an example with its answer; DataError where it is too long, FormatError where the format cannot hold it."""

    def round_trip(self, text: str) -> str:
        """The text encoded and decoded again."""


class TokenCheck:
    """Measures the examples of one split into its facts."""

    def __init__(self, tokenizing: Tokenizing, split: str, facts: SplitFacts) -> None:
        self._tokenizing, self._split, self._facts = tokenizing, split, facts
        self._verdicts: dict[str, bool] = {}

    def check(self, example: Example) -> Iterator[tuple[str, str]]:
        """Codes and details of one example with gold."""
        facts = self._facts
        try:
            measured = self._tokenizing.measure(example, self._split)
        except FormatError as error:
            yield "unrepresentable", error.what
        except DataError as error:
            yield "too-long", error.what
        else:
            facts.tokens += measured.tokens
            facts.longest_tokens = max(facts.longest_tokens, measured.longest)
            facts.open_occurrences += measured.open_occurrences
            if measured.outcome != "kept":
                setattr(facts, measured.outcome, getattr(facts, measured.outcome) + 1)
                yield measured.outcome, ""
        yield from self._check_round_trip(example.text)

    def check_fertility(self) -> Iterator[tuple[str, str]]:
        """Code and detail where texts take many tokens; after the last example."""
        fertility = self._facts.tokens_per_character
        if fertility is not None and fertility > HIGH_FERTILITY:
            yield "high-fertility", f"{fertility:.2f}"

    def _check_round_trip(self, text: str) -> Iterator[tuple[str, str]]:
        if self._tokenizing.round_trip(text) == text:
            return
        lost = [one for one in dict.fromkeys(text) if self._is_lost(one)]
        named = ", ".join(f"U+{ord(one):04X}" + (f" {one}" if one.isprintable() else "") for one in lost[:_MOST_NAMED])
        yield "lost-characters", named or "no single one; the text comes back changed"

    def _is_lost(self, character: str) -> bool:
        if character not in self._verdicts:
            text = _NEIGHBOUR + character + _NEIGHBOUR
            self._verdicts[character] = self._tokenizing.round_trip(text) != text
        return self._verdicts[character]
