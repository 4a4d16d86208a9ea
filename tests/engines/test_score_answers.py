"""A given answer is as probable as the engine says: the sum of what decoding would have computed token by token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.constraint import GrammarCompiler
from extune.engines.engine import AnswerScorer, DecodingOptions
from extune.engines.scripted_engine import ScriptedEngine
from extune.engines.transformers_engine import TransformersEngine
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import encode_text

TEXTS = ["黄芪30克，补气固表。", "患者咳嗽三天，予桂枝汤加减。", "当归"]
ANSWERS = ["药：黄芪", "药：桂枝汤\n症：咳嗽；三天", "无"]


@pytest.fixture(scope="module")
def contract(make_contract: Callable[..., Contract]) -> Contract:
    return make_contract()


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> list[Prompt]:
    encoder = Encoder(tokenizer, contract)
    return [prompt for number, text in enumerate(TEXTS) for prompt in encoder.encode_prompts(Example(str(number), text))]


@pytest.fixture(scope="module")
def answers(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> list[tuple[int, ...]]:
    return [(*encode_text(tokenizer, answer), contract.stop_token_ids[0]) for answer in ANSWERS]


def engine(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract, tokens: int) -> TransformersEngine:
    return TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens, tokens)


def brute_force(
    model: PreTrainedModel, compiler: GrammarCompiler | None, prompt: Prompt, answer: Sequence[int]
) -> tuple[float, ...]:
    """One forward pass per token, without cache, padding and batch."""
    matcher = None if compiler is None else compiler.compile(prompt)
    logprobs = []
    for number, token in enumerate(answer):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt.ids, *answer[:number]]])).logits[0, -1].float()
        if matcher is not None and compiler is not None:
            logits[~torch.from_numpy(compiler.allowed([matcher])[0])] = -math.inf
            if number + 1 < len(answer):
                matcher.accept(token)
        logprobs.append(float(logits.log_softmax(-1)[token]))
    return tuple(logprobs)


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize("tokens", [1, 8192])
def test_scores_are_those_of_one_token_at_a_time(
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contract: Contract,
    prompts: list[Prompt],
    answers: list[tuple[int, ...]],
    constrained: bool,
    tokens: int,
) -> None:
    asked = prompts if constrained else [replace(prompt, grammar=None) for prompt in prompts]
    compiler = GrammarCompiler(tokenizer, base_model.config.vocab_size, contract.stop_token_ids) if constrained else None
    found = engine(base_model, tokenizer, contract, tokens).score_answers(asked, answers)
    assert len(found) == len(asked)
    for prompt, answer, logprobs in list(zip(asked, answers, found, strict=True))[:: 1 if tokens == 1 else 2]:
        assert logprobs == pytest.approx(brute_force(base_model, compiler, prompt, answer), abs=1e-4)


def test_the_greedy_answer_has_the_log_probabilities_of_its_decoding(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract, prompts: list[Prompt]
) -> None:
    free = [replace(prompt, grammar=None) for prompt in prompts]  # decoding logs the model's own probabilities
    scorer = engine(base_model, tokenizer, contract, 8192)
    completions = scorer.complete(free, DecodingOptions(max_new_tokens=8))
    ids = [tuple(encode_text(tokenizer, one.text)) for one in completions]
    cut = [one.logprobs[: len(own)] for one, own in zip(completions, ids, strict=True) if one.logprobs is not None]
    for expected, found in zip(cut, scorer.score_answers(free, ids), strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_an_answer_that_the_grammar_forbids_has_no_score(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract, prompts: list[Prompt]
) -> None:
    invented = (*encode_text(tokenizer, "药：人参"), contract.stop_token_ids[0])
    unfinished = (*encode_text(tokenizer, "药："), contract.stop_token_ids[0])
    found = engine(base_model, tokenizer, contract, 8192).score_answers(prompts[:1] * 2, [invented, unfinished])
    assert found == [None, None]


def test_only_engines_with_a_model_score_answers(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract
) -> None:
    assert isinstance(engine(base_model, tokenizer, contract, 1), AnswerScorer)
    assert not isinstance(ScriptedEngine({}), AnswerScorer)
