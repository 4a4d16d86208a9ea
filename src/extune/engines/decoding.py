"""The next token of each answer. In: logits, what stands already, options, masks. Out: ids and log-probabilities.

It knows nothing about models and caches. Shapes: B answers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import torch

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.constraint import Mask, Matcher
from extune.engines.drafting import Drafter
from extune.engines.engine import DecodingOptions
from extune.prompts.circles import runs_in_a_circle

_CHECKED_EVERY = 16  # tokens
_SHORTEST_CIRCLE = 48  # tokens


@dataclass
class Answer:
    """One answer being written.

    Attributes:
        index: of its prompt in the call; its random numbers depend on it and on the seed, not on the batch.
        budget: tokens that it may have, stop token included.
        drafter: guesses its next tokens, None where each is to be chosen by itself.
        circling: it repeated itself until it was stopped.
    """

    index: int
    prompt: Prompt
    matcher: Matcher | None
    random: Random
    budget: int
    drafter: Drafter | None = None
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False
    circling: bool = False

    @property
    def finished(self) -> bool:
        """Nothing may be added."""
        return self.stopped or self.circling or len(self.ids) >= self.budget

    def draft(self) -> list[int]:
        """Tokens that may come next, besides the one that is chosen anyway behind them."""
        if self.drafter is None or self.finished:
            return []
        return self.drafter.draft(self.ids, self.matcher, self.budget - len(self.ids) - 1)

    def settle(self, token: int) -> int:
        """The token that stands where `token` was chosen: another one where that leaves no room to end the answer."""
        return token if self.matcher is None else self.matcher.settle(token)

    def append(self, token: int, *, stops: bool) -> None:
        """Add a chosen token; whoever chose it adds its log-probability."""
        self.ids.append(token)
        self.stopped = stops
        if self.matcher is not None and not stops:
            self.matcher.accept(token)
        in_free_text = self.matcher is not None and self.matcher.in_free_text  # of which its guard sees circles
        if not stops and not in_free_text and len(self.ids) % _CHECKED_EVERY == 0:
            # A mention may rightly stand as often as it occurs, and a tag for every character takes about two tokens.
            circling = runs_in_a_circle(self.ids, _SHORTEST_CIRCLE + 2 * len(self.prompt.text))
            self.circling = circling and not (self.matcher is not None and self.matcher.close())

    def to_completion(self, text: str) -> Completion:
        """The finished answer; `text` is what its ids without the stop id read."""
        finish: Literal["stop", "length", "closed"] = "stop" if self.stopped else "length"
        guard = None if self.matcher is None else self.matcher.guard
        if guard is None:
            return Completion(text, finish, len(self.ids), tuple(self.logprobs), tuple(self.ids))
        if self.stopped and guard.closing is not None:
            finish = "closed"
        closed_at = tuple(guard.closed_at)
        return Completion(text, finish, len(self.ids), tuple(self.logprobs), tuple(self.ids), closed_at=closed_at)


def choose_tokens(
    logits: torch.Tensor, answers: Sequence[Answer], options: DecodingOptions, allowed: Mask | None
) -> tuple[list[int], list[float]]:
    """The next token of each answer and its natural log-probability under the model itself, unmasked and unpenalised.

    `logits` is float32 of shape (B, V); `allowed` comes from the grammar compiler, shape (B, V), None allows everything.
    """
    normalizers = logits.logsumexp(dim=-1)
    scores = logits.clone() if options.repetition_penalty != 1.0 else logits
    if options.repetition_penalty != 1.0:
        _penalize(scores, answers, options.repetition_penalty)
    if allowed is not None:
        scores = _mask(scores, allowed)
    chosen = scores.argmax(dim=-1) if options.temperature == 0 else _sample(scores, answers, options)
    settled = [answer.settle(token) for answer, token in zip(answers, chosen.tolist(), strict=True)]
    logprobs = logits.gather(1, chosen.new_tensor(settled)[:, None])[:, 0] - normalizers
    return settled, logprobs.tolist()


def choose_greedily(
    logits: torch.Tensor,
    answers: Sequence[Answer],
    drafts: Sequence[Sequence[int]],
    stops: Container[int],
    masks: Callable[[Sequence[Matcher]], Mask],
) -> list[int]:
    """Add the likeliest allowed tokens to each answer as long as its draft agrees; how many each got.

    The same tokens as one by one: a draft's token stands only where it is the likeliest. A mask is computed only where the
    likeliest token of all is not allowed.

    Args:
        logits: (B, T, V), place t from what stands before the t-th token of a draft.
        answers: none of them finished.
        drafts: at most T - 1 tokens for each answer.
        stops: tokens that end an answer.
        masks: of several grammars' next tokens.
    """
    tops = logits.argmax(dim=-1).tolist()
    first = _first_allowed(logits, answers, [row[0] for row in tops], masks)
    rows, places, tokens, counts = [], [], [], []
    for row, (answer, draft) in enumerate(zip(answers, drafts, strict=True)):
        place = 0
        while True:
            likeliest = first[row] if place == 0 else _allowed(logits[row, place], answer, tops[row][place], masks)
            token = answer.settle(likeliest)
            answer.append(token, stops=token in stops)
            rows.append(row)
            places.append(place)
            tokens.append(token)
            if answer.finished or place == len(draft) or draft[place] != token:
                break
            place += 1
        counts.append(place + 1)
    chosen = logits[rows, places].float()
    logprobs = chosen[range(len(tokens)), tokens] - chosen.logsumexp(dim=-1)
    for row, logprob in zip(rows, logprobs.tolist(), strict=True):
        answers[row].logprobs.append(logprob)
    return counts


def _first_allowed(
    logits: torch.Tensor, answers: Sequence[Answer], tops: list[int], masks: Callable[[Sequence[Matcher]], Mask]
) -> list[int]:
    """The likeliest allowed token at place 0 of each row; the masks that this takes are computed side by side."""
    refused = [
        (row, answer.matcher)
        for row, answer in enumerate(answers)
        if answer.matcher is not None and not answer.matcher.count_allowed(tops[row : row + 1])
    ]
    if refused:
        rows = [row for row, _ in refused]
        best = _mask(logits[rows, 0], masks([matcher for _, matcher in refused])).argmax(dim=-1).tolist()
        tops = [*tops]
        for row, token in zip(rows, best, strict=True):
            tops[row] = token
    return tops


def _allowed(logits: torch.Tensor, answer: Answer, top: int, masks: Callable[[Sequence[Matcher]], Mask]) -> int:
    """The likeliest allowed token of one row, `top` where that is allowed."""
    if answer.matcher is None or answer.matcher.count_allowed([top]):
        return top
    return int(_mask(logits, masks([answer.matcher])[0]).argmax())


def _mask(logits: torch.Tensor, allowed: Mask) -> torch.Tensor:
    return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), float("-inf"))


def score_tokens(logits: torch.Tensor, ids: Sequence[int], allowed: Mask | None) -> tuple[float, ...]:
    """Natural log-probability of each of N given tokens among those that were allowed in its place.

    `logits` is float32 of shape (N, V), row n from what stands before token n; `allowed` has the same shape, None allows
    everything. It must allow `ids`.
    """
    if allowed is not None:
        logits = _mask(logits, allowed)
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
