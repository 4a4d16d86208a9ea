"""The next token of each answer. In: logits, what stands already, options, masks. Out: ids and log-probabilities.

It knows nothing about models and caches. Shapes: B answers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import torch

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.constraint import Mask, Matcher
from extune.engines.engine import DecodingOptions


@dataclass
class Answer:
    """One answer being written.

    Attributes:
        index: of its prompt in the call; its random numbers depend on it and on the seed, not on the batch.
    """

    index: int
    prompt: Prompt
    matcher: Matcher | None
    random: Random
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False

    def append(self, token: int, logprob: float, *, stops: bool) -> None:
        """Add a chosen token."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.stopped = stops
        if self.matcher is not None and not stops:
            self.matcher.accept(token)

    def to_completion(self, text: str) -> Completion:
        """The finished answer; `text` is what its ids without the stop id read."""
        finish: Literal["stop", "length"] = "stop" if self.stopped else "length"
        return Completion(text, finish, len(self.ids), tuple(self.logprobs), tuple(self.ids))


def choose_tokens(
    logits: torch.Tensor, answers: Sequence[Answer], options: DecodingOptions, allowed: Mask | None
) -> tuple[list[int], list[float]]:
    """The next token of each answer and its natural log-probability under the model itself, unmasked and unpenalised.

    `logits` is float32 of shape (B, V); `allowed` comes from the grammar compiler, shape (B, V), None allows everything.
    """
    normalizers = logits.logsumexp(dim=-1)
    scores = logits.clone() if allowed is not None or options.repetition_penalty != 1.0 else logits
    if options.repetition_penalty != 1.0:
        _penalize(scores, answers, options.repetition_penalty)
    if allowed is not None:
        scores.masked_fill_(~torch.from_numpy(allowed).to(scores.device), float("-inf"))
    chosen = scores.argmax(dim=-1) if options.temperature == 0 else _sample(scores, answers, options)
    logprobs = logits.gather(1, chosen[:, None])[:, 0] - normalizers
    return chosen.tolist(), logprobs.tolist()


def score_tokens(logits: torch.Tensor, ids: Sequence[int], allowed: Mask | None) -> tuple[float, ...]:
    """Natural log-probability of each of N given tokens among those that were allowed in its place.

    `logits` is float32 of shape (N, V), row n from what stands before token n; `allowed` has the same shape, None allows
    everything. It must allow `ids`.
    """
    if allowed is not None:
        logits = logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), float("-inf"))
    chosen = torch.tensor(ids, device=logits.device)[:, None]
    logprobs: list[float] = logits.log_softmax(dim=-1).gather(1, chosen)[:, 0].tolist()
    return tuple(logprobs)


def _penalize(scores: torch.Tensor, answers: Sequence[Answer], penalty: float) -> None:
    """Make tokens of the prompt and the answer so far less likely (Keskar et al. 2019, arXiv:1909.05858)."""
    for row, answer in enumerate(answers):
        seen = torch.tensor(sorted({*answer.prompt.ids, *answer.ids}), device=scores.device)
        values = scores[row, seen]
        scores[row, seen] = torch.where(values > 0, values / penalty, values * penalty)


def _sample(scores: torch.Tensor, answers: Sequence[Answer], options: DecodingOptions) -> torch.Tensor:
    """Nucleus sampling (Holtzman et al. 2019, arXiv:1904.09751) by inverting the distribution function."""
    probabilities, tokens = (scores / options.temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    totals = probabilities.masked_fill_(before >= options.top_p, 0.0).cumsum(dim=-1)
    draws = torch.tensor([answer.random.random() for answer in answers], device=scores.device)
    places = torch.searchsorted(totals, (draws * totals[:, -1])[:, None], right=True)
    return tokens.gather(1, places.clamp_max(tokens.shape[1] - 1))[:, 0]
