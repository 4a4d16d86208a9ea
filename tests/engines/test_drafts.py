"""Guessing ahead changes nothing about greedy answers; an answer that runs in a circle is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.engines.drafting import Drafter
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.prompts.circles import runs_in_a_circle
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

GREEDY = DecodingOptions()
BUDGET = 40
awkward = st.text(st.sampled_from("黄芪当归，。；：\\\n无 a🍵"), max_size=30)


class Counting:
    """A model that counts its forward passes."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model, self.calls = model, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def __call__(self, **inputs: torch.Tensor) -> object:
        self.calls += 1
        return self._model(**inputs)


@settings(max_examples=12, deadline=None)
@given(
    texts=st.lists(awkward, min_size=1, max_size=5),
    name=st.sampled_from([answer_format.name for answer_format in EXTRACTION_FORMATS]),
    constrain=st.booleans(),
    draft_tokens=st.integers(1, 9),
    batch_tokens=st.sampled_from([200, 4000]),
)
def test_the_same_answers_as_token_by_token(  # noqa: PLR0917
    texts: list[str],
    name: str,
    constrain: bool,
    draft_tokens: int,
    batch_tokens: int,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
) -> None:
    encoder = Encoder(tokenizer, make_contract(format=name, constrain=constrain))
    prompts = [prompt for text in texts for prompt in encoder.encode_prompts(Example(text, text))]
    stops = encoder.contract.stop_token_ids
    plain = TransformersEngine(base_model, tokenizer, stops, BUDGET, batch_tokens, draft_tokens=0).complete(prompts, GREEDY)
    ahead = TransformersEngine(base_model, tokenizer, stops, BUDGET, batch_tokens, draft_tokens).complete(prompts, GREEDY)
    for one, other in zip(plain, ahead, strict=True):
        assert (other.text, other.finish, other.token_count) == (one.text, one.finish, one.token_count)
        assert one.logprobs is not None
        assert other.logprobs is not None
        torch.testing.assert_close(torch.tensor(other.logprobs), torch.tensor(one.logprobs), atol=1e-4, rtol=1e-4)


def test_what_a_grammar_forces_takes_fewer_passes(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    encoder = Encoder(tokenizer, make_contract())
    prompts = [
        replace(prompt, grammar='start: "黄芪三十克，每日一剂。"')
        for text in ("黄芪", "当归尾")
        for prompt in encoder.encode_prompts(Example(text, text))
    ]
    texts, calls = [], []
    for draft_tokens in (0, 6):
        model = Counting(base_model)
        engine = TransformersEngine(
            model,  # type: ignore[arg-type]
            tokenizer,
            encoder.contract.stop_token_ids,
            BUDGET,
            draft_tokens=draft_tokens,
        )
        texts.append([completion.text for completion in engine.complete(prompts, GREEDY)])
        calls.append(model.calls)
    assert texts[0] == texts[1] == ["黄芪三十克，每日一剂。"] * 2
    assert calls[1] < calls[0] / 2


def test_drafts_copy_what_followed_before() -> None:
    drafter = Drafter([5, 6, 7, 8, 1, 6, 9, 9], longest=3)
    assert drafter.draft([5, 6], None, 10) == [7, 8, 1]
    assert drafter.draft([1, 6], None, 10) == [9, 9]
    assert drafter.draft([1, 6], None, 1) == [9]
    assert drafter.draft([1, 6], None, 0) == []
    assert drafter.draft([4], None, 10) == []


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(1, 10), st.lists(st.integers(0, 9), max_size=20))
def test_circles_are_seen(piece: list[int], times: int, before: list[int]) -> None:
    answer = [*before, *piece * times]
    tail = len(piece) * times
    if times >= 4:
        assert runs_in_a_circle(answer, tail)
    assert not runs_in_a_circle([*answer, 99], tail)
    assert not runs_in_a_circle(list(range(64)), 64)


class Repeating:
    """A model that answers every token with the next of a circle."""

    def __init__(self, model: PreTrainedModel, circle: Sequence[int]) -> None:
        self._model, self._circle = model, circle

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def __call__(self, input_ids: torch.Tensor, **inputs: torch.Tensor) -> object:
        output = self._model(input_ids=input_ids, **inputs)
        following = dict(zip(self._circle, [*self._circle[1:], self._circle[0]], strict=True))
        for row, ids in enumerate(input_ids[:, -output.logits.shape[1] :].tolist()):
            for place, token in enumerate(ids):
                output.logits[row, place, following.get(token, self._circle[0])] = 1e4
        return output


@pytest.mark.parametrize("draft_tokens", [0, 6])
def test_an_answer_that_runs_in_a_circle_is_stopped_and_says_so(
    draft_tokens: int,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
) -> None:
    encoder = Encoder(tokenizer, make_contract(constrain=False))
    prompts = encoder.encode_prompts(Example("a", "黄芪"))
    circle = tokenizer.convert_tokens_to_ids(["一", "的", "，"])
    engine = TransformersEngine(
        Repeating(base_model, circle),  # type: ignore[arg-type]
        tokenizer,
        encoder.contract.stop_token_ids,
        400,
        draft_tokens=draft_tokens,
    )
    (completion,) = engine.complete(prompts, GREEDY)
    assert completion.finish == "length"
    assert completion.token_count < 100
    assert completion.text.startswith("一的，一的，")
