"""What vLLM computes is what the transformers engine computes: adapters, masks, log-probabilities, guessed tokens.

It runs in an environment of its own (`make test-vllm`). One engine serves all tests: it has a LoRA adapter and guesses tokens;
the contract suite has one without both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.engines.vllm_engine import Served, VllmEngine, is_installed
from extune.errors import EngineError
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, load_base, resolve_base
from extune.models.checkpoint import save_weights
from extune.recipe.adapters import LoraAdapter
from extune.recipe.engines import VllmSection
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

pytestmark = pytest.mark.skipif(not is_installed(), reason="vllm is not in this environment: make test-vllm")

GREEDY = DecodingOptions()
BUDGET = 24
TEXTS = ["黄芪30克，补气固表。", "患者咳嗽三天，予桂枝汤加减，每日一剂。", "当归；白术：甘草\\", "甘草🍵\n“茶”" * 3, "无"]


@pytest.fixture(scope="module")
def stops(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    return (int(tokenizer.eos_token_id),)


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase, stops: tuple[int, ...]
) -> Iterator[tuple[TransformersEngine, VllmEngine]]:
    torch.manual_seed(0)
    model = add_adapter(load_base(resolve_base(EMBEDDED), "float32", "cpu"), LoraAdapter(r=4, use_rslora=True))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    run = tmp_path_factory.mktemp("vllm")
    save_weights(model, run)
    served = Served(resolve_base(EMBEDDED), run / "adapter", 4, "float32", stops, 512, BUDGET)
    section = VllmSection(kv_cache_gib=0.25, max_num_seqs=3, speculate_tokens=3)
    with closing(VllmEngine(served, tokenizer, section)) as engine:
        yield TransformersEngine(model, tokenizer, stops, BUDGET), engine


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> list[Prompt]:
    encoder = Encoder(tokenizer, make_contract())
    return [prompt for number, text in enumerate(TEXTS) for prompt in encoder.encode_prompts(Example(str(number), text))]


def test_answers_are_the_same_tokens_constrained_or_not(
    both: tuple[TransformersEngine, VllmEngine], prompts: Sequence[Prompt]
) -> None:
    bare = [replace(prompt, shape=None) for prompt in prompts]  # vLLM closes no answers
    asked = [*bare, *(replace(prompt, grammar=None) for prompt in bare)]
    ours, theirs = (engine.complete(asked, GREEDY) for engine in both)
    assert [(one.token_ids, one.text, one.finish) for one in theirs] == [(one.token_ids, one.text, one.finish) for one in ours]


def test_logprobs_are_the_models_own_or_none(both: tuple[TransformersEngine, VllmEngine], prompts: Sequence[Prompt]) -> None:
    assert all(one.logprobs is None for one in both[1].complete(prompts, GREEDY))
    free = [replace(prompt, grammar=None) for prompt in prompts]
    for ours, theirs in zip(*(engine.complete(free, GREEDY) for engine in both), strict=True):
        assert ours.logprobs is not None
        assert theirs.logprobs is not None
        torch.testing.assert_close(torch.tensor(theirs.logprobs), torch.tensor(ours.logprobs), atol=1e-3, rtol=0)


def test_candidates_weigh_the_same(
    both: tuple[TransformersEngine, VllmEngine], prompts: Sequence[Prompt], stops: tuple[int, ...]
) -> None:
    candidates = [[(700, 701, 702, *stops), (700, 701, *stops), (703, *stops)]] * len(prompts)
    ours, theirs = (engine.score_candidates(prompts, candidates) for engine in both)
    torch.testing.assert_close(torch.tensor(theirs), torch.tensor(ours), atol=1e-3, rtol=0)


def test_nothing_of_vllm_is_on_standard_output(
    both: tuple[TransformersEngine, VllmEngine], prompts: Sequence[Prompt], capfd: pytest.CaptureFixture[str]
) -> None:
    both[1].complete(prompts[:1], GREEDY)
    assert capfd.readouterr().out == ""


def test_a_model_that_does_not_load_is_an_error_of_ours(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, stops: tuple[int, ...]
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_model", "architectures": ["NoSuchModel"]}', encoding="utf-8")
    before = os.fstat(1)
    with pytest.raises(EngineError, match="vLLM does not start"):
        VllmEngine(Served(tmp_path, None, 0, "float32", stops, 64, 8), tokenizer, VllmSection(kv_cache_gib=0.25))
    assert os.fstat(1).st_ino == before.st_ino  # standard output is what it was


def test_a_grammar_that_is_none_closes_the_engine_and_says_so(
    both: tuple[TransformersEngine, VllmEngine], prompts: Sequence[Prompt]
) -> None:  # the last test: it ends the engine
    with pytest.raises(EngineError, match="vLLM failed"):
        both[1].complete([replace(prompts[0], grammar="start: NOTHING_SUCH")], GREEDY)
