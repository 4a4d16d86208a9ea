"""Every engine is asked the same questions. vLLM runs in an environment of its own: `make test-vllm`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import pytest
import torch
from tests.engines.chat_server import answer_with, serving
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.engine import CandidateScorer, DecodingOptions, Engine
from extune.engines.openai_engine import OpenAIEngine
from extune.engines.scripted_engine import ScriptedEngine
from extune.engines.transformers_engine import TransformersEngine
from extune.engines.vllm_engine import Served, VllmEngine, is_installed
from extune.models.base_model import EMBEDDED, resolve_base
from extune.recipe.endpoint import EndpointSection
from extune.recipe.engines import VllmSection
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

GREEDY = DecodingOptions()
BUDGET = 12
TEXTS = ["黄芪30克，补气固表。", "无", "患者咳嗽三天，予桂枝汤加减，每日一剂，分两次服。", "当归", "甘草🍵" * 9]


@pytest.fixture(scope="session")
def vllm_engine(tokenizer: PreTrainedTokenizerBase) -> Iterator[VllmEngine]:
    """One for all tests: it takes a minute to start."""
    if not is_installed():
        pytest.skip("vllm is not in this environment: make test-vllm")
    stops = (tokenizer.eos_token_id, *sorted({*tokenizer.all_special_ids} - {tokenizer.eos_token_id}))
    served = Served(resolve_base(EMBEDDED), None, 0, "float32", stops, 512, BUDGET)
    with closing(VllmEngine(served, tokenizer, VllmSection(kv_cache_gib=0.25))) as started:
        yield started


@pytest.fixture(params=["scripted", "transformers", "openai", "vllm"])
def engine(
    request: pytest.FixtureRequest,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
) -> Iterator[Engine]:
    if request.param == "scripted":
        yield ScriptedEngine(lambda prompt: f"药：{prompt.text}", BUDGET)
    elif request.param == "transformers":
        yield TransformersEngine(base_model, tokenizer, tuple(tokenizer.all_special_ids), BUDGET, batch_tokens=400)
    elif request.param == "vllm":
        yield request.getfixturevalue("vllm_engine")
    else:
        with (
            serving(answer_with(base_model, tokenizer, make_contract())) as server,
            closing(OpenAIEngine(EndpointSection(base_url=server.url, model="embedded"), BUDGET)) as asked,
        ):
            yield asked


@pytest.fixture
def prompts(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> Sequence[Prompt]:
    encoder = Encoder(tokenizer, make_contract())
    return [prompt for number, text in enumerate(TEXTS) for prompt in encoder.encode_prompts(Example(str(number), text))]


def test_nothing_asked_nothing_answered(engine: Engine) -> None:
    assert engine.complete([], GREEDY) == []


def test_every_prompt_is_answered_in_order(engine: Engine, prompts: Sequence[Prompt]) -> None:
    together = [completion.text for completion in engine.complete(prompts, GREEDY)]
    assert together == [engine.complete([prompt], GREEDY)[0].text for prompt in prompts]
    assert [completion.text for completion in engine.complete(prompts[::-1], GREEDY)] == together[::-1]


def test_the_same_prompt_twice_is_answered_twice(engine: Engine, prompts: Sequence[Prompt]) -> None:
    first, other, again = engine.complete([prompts[0], prompts[2], prompts[0]], GREEDY)
    assert first.text == again.text
    assert other.text == engine.complete([prompts[2]], GREEDY)[0].text


def test_greedy_answers_repeat(engine: Engine, prompts: Sequence[Prompt]) -> None:
    once, again = engine.complete(prompts, GREEDY), engine.complete(prompts, GREEDY)
    assert [(one.text, one.finish, one.token_ids) for one in once] == [(one.text, one.finish, one.token_ids) for one in again]


def test_answers_keep_to_the_budget_and_say_whether_they_ended(engine: Engine, prompts: Sequence[Prompt]) -> None:
    for options, budget in (
        (GREEDY, BUDGET),
        (DecodingOptions(max_new_tokens=3), 3),
        (DecodingOptions(max_new_tokens=999), BUDGET),
    ):
        for completion in engine.complete(prompts, options):
            assert 1 <= completion.token_count <= budget
            assert completion.finish != "length" or completion.token_count == budget


def test_no_stop_token_is_left_in_the_text(
    engine: Engine, prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase
) -> None:
    for completion in engine.complete(prompts, GREEDY):
        assert not any(special in completion.text for special in tokenizer.all_special_tokens)


def test_ids_and_logprobs_where_there_are_some_are_those_of_the_text(
    engine: Engine, prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase
) -> None:
    for completion in engine.complete(prompts, GREEDY):
        if completion.token_ids is None:
            assert engine.name in ("scripted", "openai")
            continue
        assert len(completion.token_ids) == completion.token_count
        if completion.logprobs is None:
            assert engine.name == "vllm"  # it knows only those under the mask
        else:
            assert len(completion.logprobs) == completion.token_count
            assert all(logprob <= 1e-6 for logprob in completion.logprobs)
        written = completion.token_ids if completion.finish == "length" else completion.token_ids[:-1]
        assert tokenizer.decode(list(written)) == completion.text


def test_random_answers_depend_on_their_seed(engine: Engine, prompts: Sequence[Prompt]) -> None:
    if engine.name in ("scripted", "openai"):
        pytest.skip("answers of scripts and servers are theirs")
    free = [replace(prompt, grammar=None) for prompt in prompts]

    def draw(seed: int) -> list[str]:
        return [completion.text for completion in engine.complete(free, DecodingOptions(temperature=1.0, seed=seed))]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_candidates_have_the_probability_that_each_has_alone(
    engine: Engine, prompts: Sequence[Prompt], base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    if not isinstance(engine, CandidateScorer):
        assert engine.name in ("scripted", "openai")  # there is no model to ask
        return
    stop = tokenizer.eos_token_id
    a, b, c = tokenizer.convert_tokens_to_ids(["药", "方", "人"])
    candidates = [[(a, stop), (a, b, stop), (a, c, b, stop), (b, stop)], [(c, a, stop)], *[[(a, stop), (c, stop)]] * 3]
    for prompt, own, scores in zip(prompts, candidates, engine.score_candidates(prompts, candidates), strict=True):
        expected = []
        for ids in own:
            with torch.no_grad():
                logits = base_model(input_ids=torch.tensor([[*prompt.ids, *ids[:-1]]])).logits[0, -len(ids) :]
            expected.append(float(logits.double().log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum()))
        assert scores == pytest.approx(expected, abs=1e-4)
    assert engine.score_candidates([], []) == []


def test_more_candidates_than_a_place_can_be_asked_for(
    engine: Engine, prompts: Sequence[Prompt], base_model: PreTrainedModel
) -> None:
    if not isinstance(engine, CandidateScorer):
        pytest.skip("it scores no candidates")
    tokens = range(100, 400)
    (scores,) = engine.score_candidates(prompts[:1], [[(token,) for token in tokens]])
    with torch.no_grad():
        logits = base_model(input_ids=torch.tensor([prompts[0].ids])).logits[0, -1]
    assert scores == pytest.approx(logits.double().log_softmax(-1)[100:400].tolist(), abs=1e-4)
