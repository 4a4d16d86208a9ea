"""All candidates in one pass: the tree of their ids, what its nodes see, and the probabilities of one answer at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.tiny_bases import build_base
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.engine import CandidateScorer
from extune.engines.label_trie import MOST_TOKENS, LabelTrie, build_trie, split_candidates
from extune.engines.scripted_engine import ScriptedEngine
from extune.engines.transformers_engine import TransformersEngine
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, load_base, load_tokenizer, resolve_base
from extune.recipe.adapters import PrefixTuningAdapter
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import encode_text

STOP = 0
TEXTS = ["黄芪30克，补气固表。", "患者咳嗽三天，予桂枝汤加减。", "当归", "舌淡苔白"]
LABELS = [
    ("体育", "体育新闻", "体操", "财经"),  # one begins another, two share a beginning
    ("Economy", "Education", "Energy"),
    ("无", "有"),
    ("体育", "体育新闻", "体操", "财经"),
]

answers = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5).map(lambda ids: (*ids, STOP)), min_size=1, unique=True)


def read(trie: LabelTrie, path: Sequence[int]) -> tuple[int, ...]:
    """The tokens on a path."""
    return tuple(trie.tokens[place - 1] for place in path[1:])


@given(answers)
def test_a_tree_holds_every_beginning_once(candidates: list[tuple[int, ...]]) -> None:
    trie = build_trie(candidates)
    beginnings = {candidate[:length] for candidate in candidates for length in range(1, len(candidate))}
    depths, seen = trie.depths, trie.visible
    assert len(trie.tokens) == len(beginnings)
    for candidate, path in zip(candidates, trie.paths, strict=True):
        assert (read(trie, path), depths[path[-1]]) == (candidate[:-1], len(candidate) - 1)
        nodes = [place - 1 for place in path[1:]]
        assert seen[nodes[-1]].nonzero().flatten().tolist() == sorted(nodes)


@given(st.lists(st.integers(1, MOST_TOKENS), min_size=1, max_size=8))
def test_parts_hold_all_candidates_in_order(lengths: list[int]) -> None:
    candidates = [(number,) * length for number, length in enumerate(lengths)]
    parts = list(split_candidates(candidates))
    assert [one for part in parts for one in part] == candidates
    assert all(len(part) == 1 or sum(map(len, part)) <= MOST_TOKENS for part in parts)
    assert all(sum(map(len, (*one, other[0]))) > MOST_TOKENS for one, other in pairwise(parts))


def encode_questions(
    tokenizer: PreTrainedTokenizerBase, contract: Contract
) -> tuple[list[Prompt], list[list[tuple[int, ...]]]]:
    encoder = Encoder(tokenizer, contract)
    prompts = [prompt for number, text in enumerate(TEXTS) for prompt in encoder.encode_prompts(Example(str(number), text))]
    stop = contract.stop_token_ids[0]
    return prompts, [[(*encode_text(tokenizer, name), stop) for name in names] for names in LABELS]


def brute_force(model: PreTrainedModel, prompt: Prompt, answer: Sequence[int]) -> float:
    """One forward pass over prompt and answer, without cache, padding, tree and batch."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt.ids, *answer[:-1]]])).logits[0, -len(answer) :].double()
    return float(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum())


@pytest.mark.parametrize("tokens", [1, 8192])
def test_candidates_have_the_probability_that_each_has_alone(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract], tokens: int
) -> None:
    contract = make_contract()
    engine = TransformersEngine(base_model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens, tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    found = engine.score_candidates(prompts, candidates)
    assert engine._reads_tries
    for prompt, answers, scores in zip(prompts, candidates, found, strict=True):
        assert scores == pytest.approx([brute_force(base_model, prompt, answer) for answer in answers], abs=1e-4)
    assert engine.score_candidates([], []) == []


def test_attention_that_adds_its_mask(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> None:
    model = load_base(resolve_base(EMBEDDED), "float32", "cpu")
    model.set_attn_implementation("eager")
    contract = make_contract()
    engine = TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    found = engine.score_candidates(prompts[:2], candidates[:2])
    assert engine._reads_tries
    for prompt, answers, scores in zip(prompts, candidates, found, strict=False):
        assert scores == pytest.approx([brute_force(model, prompt, answer) for answer in answers], abs=1e-4)


def test_many_candidates_are_scored_in_parts(
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = make_contract()
    engine = TransformersEngine(base_model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    whole = engine.score_candidates(prompts, candidates)
    monkeypatch.setattr("extune.engines.label_trie.MOST_TOKENS", 6)
    for scores, expected in zip(engine.score_candidates(prompts, candidates), whole, strict=True):
        assert scores == pytest.approx(expected, abs=1e-4)


def test_virtual_tokens_stand_before_the_tree(
    tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    torch.manual_seed(17)
    model = add_adapter(load_base(resolve_base(EMBEDDED), "float32", "cpu"), PrefixTuningAdapter(num_virtual_tokens=5)).eval()
    contract = make_contract()
    engine = TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    found = engine.score_candidates(prompts, candidates)
    assert engine._reads_tries
    for prompt, answers, scores in list(zip(prompts, candidates, found, strict=True))[:2]:
        assert scores == pytest.approx([brute_force(model, prompt, answer) for answer in answers], abs=1e-4)


@pytest.mark.parametrize("family", ["mistral", "qwen2", "glm"])
def test_other_bases(family: str, tmp_path: Path, make_contract: Callable[..., Contract]) -> None:
    folder = build_base(tmp_path / family, family)
    tokenizer, contract = load_tokenizer(folder), make_contract()
    model = load_base(folder, "float32", "cpu")
    engine = TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    found = engine.score_candidates(prompts, candidates)
    assert engine._reads_tries is (family != "mistral")  # whose layers see a window
    for prompt, answers, scores in zip(prompts, candidates, found, strict=True):
        assert scores == pytest.approx([brute_force(model, prompt, answer) for answer in answers], abs=1e-4)


def test_a_base_that_reads_no_tree_is_found_out(
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contract = make_contract()
    engine = TransformersEngine(base_model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    prompts, candidates = encode_questions(tokenizer, contract)
    expected = engine.score_candidates(prompts, candidates)
    engine._reads_tries = None
    # every node sees every node: what a base does that ignores the mask
    monkeypatch.setattr(
        LabelTrie, "visible", property(lambda self: torch.ones(len(self.tokens), len(self.tokens), dtype=torch.bool))
    )
    with caplog.at_level(logging.WARNING):
        found = engine.score_candidates(prompts, candidates)
    assert "one at a time" in caplog.text
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_only_engines_with_a_model_score_candidates(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    contract = make_contract()
    assert isinstance(TransformersEngine(base_model, tokenizer, contract.stop_token_ids, 8), CandidateScorer)
    assert not isinstance(ScriptedEngine({}), CandidateScorer)
