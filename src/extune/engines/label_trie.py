"""All candidate answers of a prompt as one tree behind it: what they share is computed once, and all of it in one pass.

In: candidate answers as ids. Out: the tree, its place in a batch (ids, positions, what each token sees), and each candidate's
log-probability from the logits of that batch. It knows nothing about texts and labels, and of models only their logits.
Shapes: B prompts, P tokens before all of them, R tokens of the longest rest, N nodes of the largest tree, T = R + N,
K = N + 1 places that predict a token, V vocabulary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import torch

from extune.domain.prompt import Prompt
from extune.engines.engine import AnswerScorer

_LOG = logging.getLogger(__name__)

MOST_DIFFERENCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}
"""Relative distance between log-probabilities from a tree and from a row for each candidate, by the dtype of the weights."""

MOST_TOKENS = 512
"""Of the candidates in one tree: what each node sees is a square of the nodes."""

_CHECKED = 4  # candidates that are scored both ways
_LOGITS_OF_A_TOKEN = 2**14  # that take about the memory of one more token in the batch

Candidates = Sequence[Sequence[int]]
Question = tuple[Prompt, Candidates]
ScoreTries = Callable[[Sequence[Question]], Sequence[Sequence[float]]]


@dataclass(frozen=True)
class LabelTrie:
    """Candidate answers that share their beginnings.

    Place 0 is the end of the prompt, place n + 1 is node n. The last token of an answer is predicted and never read.

    Attributes:
        tokens: of the nodes, parents before children.
        parents: place before each node.
        paths: of each candidate, the places that predict its tokens.
        candidates: as they were given.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]
    candidates: tuple[tuple[int, ...], ...]

    @cached_property
    def depths(self) -> list[int]:
        """Of each place, the nodes on the way to it, itself included; 0 for the end of the prompt."""
        depths = [0]
        for parent in self.parents:
            depths.append(depths[parent] + 1)
        return depths

    @cached_property
    def edges(self) -> torch.Tensor:
        """All steps of all paths, (2, steps): the place that predicts, and the token."""
        steps = [step for path, ids in zip(self.paths, self.candidates, strict=True) for step in zip(path, ids, strict=True)]
        return torch.tensor(steps).T

    @cached_property
    def visible(self) -> torch.Tensor:
        """Booleans (nodes, nodes): each node sees the nodes on the way to it, and itself."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent:
                seen[node] |= seen[parent - 1]
        return seen


@dataclass(frozen=True)
class TrieRow:
    """A prompt and a tree behind it.

    Attributes:
        question: number of the question that the candidates are from.
    """

    question: int
    prompt: Prompt
    trie: LabelTrie

    def cost(self, vocabulary: int, before: int) -> int:
        """Tokens behind the first `before` ones, or what takes as much memory as so many."""
        nodes = len(self.trie.tokens)
        return max(len(self.prompt.ids) - before + nodes, (nodes + 1) * vocabulary // _LOGITS_OF_A_TOKEN)


class TrieBatch(NamedTuple):
    """Tensors of one forward pass: ids (B, T), mask (B, 1, T, P + T), positions (B, T)."""

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor


def build_trie(candidates: Candidates) -> LabelTrie:
    """The tree of answers, each of at least one id and ending with a stop id."""
    places: dict[tuple[int, ...], int] = {(): 0}
    tokens, parents, paths = [], [], []
    for candidate in candidates:
        path = [0]
        for length in range(1, len(candidate)):
            beginning = tuple(candidate[:length])
            if beginning not in places:
                places[beginning] = len(places)
                tokens.append(candidate[length - 1])
                parents.append(path[-1])
            path.append(places[beginning])
        paths.append(tuple(path))
    return LabelTrie(tuple(tokens), tuple(parents), tuple(paths), tuple(map(tuple, candidates)))


def split_candidates(candidates: Candidates) -> Iterator[Candidates]:
    """Candidates in their order, in parts of at most `MOST_TOKENS`, or of one candidate."""
    start = tokens = 0
    for end, candidate in enumerate(candidates):
        if end > start and tokens + len(candidate) > MOST_TOKENS:
            yield candidates[start:end]
            start, tokens = end, 0
        tokens += len(candidate)
    yield candidates[start:]


def plan_rows(asked: Sequence[Question]) -> list[TrieRow]:
    """A row for each question, or several where its candidates are many; equal candidates share a tree."""
    tries: dict[tuple[tuple[int, ...], ...], LabelTrie] = {}
    rows = []
    for number, (prompt, candidates) in enumerate(asked):
        for part in split_candidates(candidates):
            key = tuple(map(tuple, part))
            if key not in tries:
                tries[key] = build_trie(key)
            rows.append(TrieRow(number, prompt, tries[key]))
    return rows


def join_rows(rows: Sequence[TrieRow], scores: Sequence[tuple[float, ...]], questions: int) -> list[tuple[float, ...]]:
    """Of each question the scores of all its candidates, from those of its rows."""
    joined: list[tuple[float, ...]] = [()] * questions
    for row, found in zip(rows, scores, strict=True):
        joined[row.question] += found
    return joined


def score_each(scorer: AnswerScorer, asked: Sequence[Question]) -> list[tuple[float, ...]]:
    """What a tree gives, by a row of its own for every candidate."""
    rows = [(replace(prompt, grammar=None), answer) for prompt, candidates in asked for answer in candidates]
    scored = scorer.score_answers([prompt for prompt, _ in rows], [answer for _, answer in rows])
    sums = iter([math.fsum(logprobs or ()) for logprobs in scored])  # without a grammar every answer has a score
    return [tuple(next(sums) for _ in candidates) for _, candidates in asked]


def trees_hold(score_tries: ScoreTries, scorer: AnswerScorer, question: Question, dtype: torch.dtype) -> bool:
    """Whether a model gives candidates of a tree what it gives each alone; says so in the log where it does not.

    Args:
        score_tries: scores by trees.
        scorer: the same model, one answer a row.
        question: of which some candidates are scored in both ways.
        dtype: of the model's weights.
    """
    prompt, candidates = question
    asked = [(prompt, candidates[:_CHECKED])]
    found, expected = score_tries(asked)[0], score_each(scorer, asked)[0]
    difference = math.dist(found, expected) / max(math.hypot(*expected), 1e-9)
    if difference <= MOST_DIFFERENCE[dtype]:
        return True
    _LOG.warning("labels are scored one at a time: in one pass this base scores them differently (by %.2g)", difference)
    return False


def lay_out(
    rests: Sequence[Sequence[int]], tries: Sequence[LabelTrie], before: int, device: torch.device, added: torch.dtype | None
) -> TrieBatch:
    """Rests, padded on the left, each followed by its tree, padded on the right: place k of all rows is column R - 1 + k.

    Args:
        rests: what of each prompt comes after the first P tokens; not empty.
        tries: one for each rest.
        before: P, computed already and seen by all.
        device: of the tensors.
        added: dtype of a mask that is added to attention scores, as `eager` attention wants it; None: booleans.
    """
    longest, nodes = max(map(len, rests)), max(len(trie.tokens) for trie in tries)
    filled = [
        [*[0] * (longest - len(rest)), *rest, *trie.tokens, *[0] * (nodes - len(trie.tokens))]
        for rest, trie in zip(rests, tries, strict=True)
    ]
    lengths = torch.tensor([len(rest) for rest in rests])
    places = torch.arange(longest) - (longest - lengths)[:, None]
    # what fills up the tree goes on from the prompt: nothing sees it and nothing is read from it
    depths = torch.tensor([[*trie.depths[1:], *[1] * (nodes - len(trie.tokens))] for trie in tries]).view(len(tries), nodes)
    positions = torch.cat([places.clamp_min(0), lengths[:, None] - 1 + depths], dim=1) + before
    seen = torch.ones(len(rests), longest + nodes, before + longest + nodes, dtype=torch.bool)
    seen[:, :, before : before + longest] = (places >= 0)[:, None]
    seen[:, :longest, before:].tril_()
    widened = {trie: _widen(trie, nodes) for trie in dict.fromkeys(tries)}  # most often all rows have the same
    seen[:, longest:, before + longest :] = torch.stack([widened[trie] for trie in tries])
    # what fills up the left sees itself: a token that sees nothing computes no number
    seen[:, range(longest), range(before, before + longest)] = True
    mask = seen if added is None else torch.zeros(seen.shape, dtype=added).masked_fill_(~seen, torch.finfo(added).min)
    return TrieBatch(torch.tensor(filled, device=device), mask[:, None].to(device), positions.to(device))


def read_scores(logits: torch.Tensor, tries: Sequence[LabelTrie]) -> list[tuple[float, ...]]:
    """Natural log-probability of each candidate of each row, from the logits (B, K, V) of the places."""
    normalizers = logits.float().logsumexp(dim=-1)
    rows = torch.arange(len(tries)).repeat_interleave(torch.tensor([trie.edges.shape[1] for trie in tries]))
    at, ids = torch.cat([trie.edges for trie in tries], dim=1).to(logits.device)
    rows = rows.to(logits.device)
    steps = iter((logits[rows, at, ids].float() - normalizers[rows, at]).tolist())
    return [tuple(math.fsum(islice(steps, len(path))) for path in trie.paths) for trie in tries]


def _widen(trie: LabelTrie, nodes: int) -> torch.Tensor:
    """Of the filled up tree (N, N): its nodes as in `LabelTrie.visible`, the filling sees itself."""
    seen = torch.eye(nodes, dtype=torch.bool)
    seen[: len(trie.tokens), : len(trie.tokens)] = trie.visible
    return seen
