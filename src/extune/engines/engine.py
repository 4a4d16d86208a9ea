"""What an engine is: prompts in, as many completions out, in the same order. It knows nothing about tasks and formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.errors import RecipeError


@dataclass(frozen=True)
class DecodingOptions:
    """How tokens are chosen; the one thing about inference that a user may change, written into every prediction.

    Attributes:
        temperature: 0 takes the likeliest token, which copies best; above 0 tokens are sampled.
        top_p: sample only from the likeliest tokens that together reach this probability.
        repetition_penalty: above 1 makes tokens that already occurred less likely; hurts verbatim copying.
        max_new_tokens: tokens an answer may have, stop token included; cannot exceed the contract's budget, which None takes.
        seed: of the sampling.
        prior: none, or contextual: each label's probability is divided by what it gets for texts without content, which helps
            an untrained base that prefers a label whatever the text.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_new_tokens: int | None = None
    seed: int = 0
    prior: str = "none"

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise _out_of_range("temperature", self.temperature, "0 (greedy) or more", "0")
        if not 0 < self.top_p <= 1:
            raise _out_of_range("top-p", self.top_p, "above 0, at most 1", "1.0")
        if self.repetition_penalty <= 0:
            raise _out_of_range("repetition-penalty", self.repetition_penalty, "above 0; 1.0 changes nothing", "1.0")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise _out_of_range("max-new-tokens", self.max_new_tokens, "1 or more", "256")
        if self.prior not in ("none", "contextual"):
            raise _out_of_range("prior", self.prior, "none or contextual", "none")

    def to_json(self) -> dict[str, Any]:
        """All options, as written into predictions."""
        return asdict(self)

    def token_budget(self, max_answer_tokens: int) -> int:
        """Tokens that one answer may have."""
        return max_answer_tokens if self.max_new_tokens is None else min(self.max_new_tokens, max_answer_tokens)


class Engine(Protocol):
    """Turns prompts into completions."""

    @property
    def name(self) -> str:
        """Names the folder of its scores."""

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt, in the order of the prompts.

        Raises:
            EngineError: completions cannot be produced; never for an answer that is merely bad.
        """


@runtime_checkable
class AnswerScorer(Protocol):
    """An engine that can also say how probable a given answer is."""

    def score_answers(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> list[tuple[float, ...] | None]:
        """Log-probability of each token of one given answer per prompt; None where the prompt's grammar forbids the answer."""


@runtime_checkable
class CandidateScorer(Protocol):
    """An engine that can weigh all answers to a prompt at the price of about one."""

    def score_candidates(
        self, prompts: Sequence[Prompt], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        """Log-probability of each candidate answer of each prompt under the model itself; grammars are not looked at."""


@runtime_checkable
class ClosableEngine(Protocol):
    """An engine with processes or connections of its own."""

    def close(self) -> None:
        """End them; the engine answers nothing more."""


def _out_of_range(name: str, value: float | str, expected: str, good: str) -> RecipeError:
    return RecipeError(f"{name} is {value}", where=f"--{name}", expected=expected, fix=f"--{name} {good}")
