"""Sharing the prefix, padding, batching and dropping finished answers change nothing about what a model writes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import MistralConfig, MistralForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

GREEDY = DecodingOptions()
BUDGET = 10
# A few frequent characters besides the special tokens, so that an untrained base stops at different places.
TEXTS = [
    "黄芪30克，补气固表。",
    "的",
    "患者咳嗽三天，予桂枝汤加减，每日一剂，分两次服。",
    "当归，一个人的",
    "甘草🍵" * 9,
    "第一条",
]


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> list[Prompt]:
    encoder = Encoder(tokenizer, make_contract(constrain=False))
    return [prompt for number, text in enumerate(TEXTS) for prompt in encoder.encode_prompts(Example(str(number), text))]


@pytest.fixture(scope="module")
def stops(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    return (*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids(["，", "。", "一", "的"]))


def generate(model: PreTrainedModel, ids: Sequence[int], stops: Sequence[int], budget: int = BUDGET) -> list[int]:
    """Transformers' own greedy generation of one prompt."""
    inputs = torch.tensor([ids])
    output = model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        max_new_tokens=budget,
        do_sample=False,
        eos_token_id=list(stops),
        pad_token_id=0,
    )
    return output[0, len(ids) :].tolist()


def predict_next(model: PreTrainedModel, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits
    return logits[0, -1]


def read(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], stops: Sequence[int]) -> str:
    return str(tokenizer.decode([token for token in ids if token not in stops]))


@settings(max_examples=5, deadline=None)
@given(order=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=7), batch_tokens=st.sampled_from([1, 150, 4000]))
def test_any_batch_writes_what_transformers_generates_for_each_prompt(
    order: list[int],
    batch_tokens: int,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    stops: tuple[int, ...],
) -> None:
    engine = TransformersEngine(base_model, tokenizer, stops, BUDGET, batch_tokens)
    asked = [prompts[index] for index in order]
    for prompt, completion in zip(asked, engine.complete(asked, GREEDY), strict=True):
        expected = generate(base_model, prompt.ids, stops)
        assert completion.text == read(tokenizer, expected, stops)
        assert completion.token_count == len(expected)
        assert completion.finish == ("stop" if expected[-1] in stops else "length")


def with_virtual_tokens(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    torch.manual_seed(0)
    learned = get_peft_model(copy.deepcopy(model), copy.deepcopy(config)).eval()  # peft fills the config in for the model
    with torch.no_grad():
        for parameter in learned.prompt_encoder.parameters():
            parameter.mul_(8)  # far from nothing, whatever the base is
    return learned


PROMPT_METHODS = [
    PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    PromptEncoderConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
]


@pytest.mark.parametrize("config", PROMPT_METHODS, ids=lambda config: config.peft_type.value)
def test_learned_virtual_tokens_change_nothing_about_that(
    config: PeftConfig,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    stops: tuple[int, ...],
) -> None:
    model = with_virtual_tokens(base_model, config)
    expected = [generate(model, prompt.ids, stops) for prompt in prompts]
    assert not torch.allclose(predict_next(model, prompts[0].ids), predict_next(base_model, prompts[0].ids), atol=1e-2)
    for asked, batch_tokens in ((prompts, 4000), (prompts, 1), (prompts[:1], 4000)):
        engine = TransformersEngine(model, tokenizer, stops, BUDGET, batch_tokens)
        for number, completion in enumerate(engine.complete(asked, GREEDY)):
            assert completion.text == read(tokenizer, expected[number], stops)
            assert completion.token_count == len(expected[number])


def test_logprobs_are_those_of_a_forward_pass_without_any_cache(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], stops: tuple[int, ...]
) -> None:
    engine = TransformersEngine(base_model, tokenizer, stops, BUDGET)
    for prompt, completion in zip(prompts, engine.complete(prompts, GREEDY), strict=True):
        answer = generate(base_model, prompt.ids, stops)
        with torch.no_grad():
            logits = base_model(torch.tensor([[*prompt.ids, *answer]])).logits[0, len(prompt.ids) - 1 : -1]
        expected = logits.log_softmax(dim=-1).gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert completion.logprobs is not None
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("virtual", [False, True])
def test_layers_with_a_sliding_window_get_no_padding_behind_a_prefix(
    virtual: bool, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=6,
    )
    model: PreTrainedModel = MistralForCausalLM(config).eval()
    if virtual:
        model = with_virtual_tokens(model, PROMPT_METHODS[1])
    prefix = tuple(range(20, 40))
    asked = [Prompt(str(size), (), prefix + tuple(range(3, 3 + size)), "") for size in (1, 5, 12)]
    engine = TransformersEngine(model, tokenizer, (1,), BUDGET)
    for prompt, completion in zip(asked, engine.complete(asked, GREEDY), strict=True):
        assert completion.text == read(tokenizer, generate(model, prompt.ids, (1,)), (1,))
    assert ("one at a time" in caplog.text) == virtual


def test_the_model_goes_on_training_after_a_call(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], stops: tuple[int, ...]
) -> None:
    engine = TransformersEngine(base_model, tokenizer, stops, 2)
    base_model.train()
    engine.complete(prompts[:1], GREEDY)
    assert base_model.training
    base_model.eval()
    engine.complete(prompts[:1], GREEDY)
    assert not base_model.training


class OutOfMemory:
    """A model whose device holds at most `limit` answers at once."""

    def __init__(self, model: PreTrainedModel, limit: int) -> None:
        self._model, self._limit = model, limit

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def __call__(self, **inputs: torch.Tensor) -> object:
        if len(inputs["input_ids"]) > self._limit:
            raise torch.OutOfMemoryError
        return self._model(**inputs)


def test_too_little_memory_makes_smaller_batches_and_the_same_answers(
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    stops: tuple[int, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = TransformersEngine(base_model, tokenizer, stops, BUDGET).complete(prompts, GREEDY)
    small = TransformersEngine(OutOfMemory(base_model, 2), tokenizer, stops, BUDGET, 4000)  # type: ignore[arg-type]
    found = small.complete(prompts, GREEDY)
    assert [completion.text for completion in found] == [completion.text for completion in expected]
    assert "out of memory" in caplog.text


class TestSampling:
    """Random answers depend on the seed and on the place in the call, not on the batches."""

    @pytest.fixture
    def complete(
        self, base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], stops: tuple[int, ...]
    ) -> Callable[..., list[str]]:
        def run(batch_tokens: int = 4000, **options: float) -> list[str]:
            engine = TransformersEngine(base_model, tokenizer, stops, BUDGET, batch_tokens)
            return [completion.text for completion in engine.complete(prompts, DecodingOptions(**options))]  # type: ignore[arg-type]

        return run

    def test_one_seed_one_answer(self, complete: Callable[..., list[str]]) -> None:
        assert complete(temperature=1.0, seed=1) == complete(temperature=1.0, seed=1, batch_tokens=150)
        assert complete(temperature=1.0, seed=1) != complete(temperature=1.0, seed=2)

    def test_a_tiny_nucleus_is_greedy(self, complete: Callable[..., list[str]]) -> None:
        assert complete(temperature=1.0, top_p=1e-6) == complete()

    def test_a_penalty_changes_answers(self, complete: Callable[..., list[str]]) -> None:
        assert complete(repetition_penalty=1.0) == complete()
        assert complete(repetition_penalty=5.0) != complete()
