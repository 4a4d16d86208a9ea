"""Loss and gradient of a packed batch equal those of its rows trained one at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import IA3Config, LoraConfig, PeftConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

import extune
from extune.models.adapters import add_adapter
from extune.models.base_model import load_base
from extune.recipe.adapters import QloraAdapter
from extune.recipe.sections import PackingName
from extune.runs.contract import Quantization
from extune.tokens import packing
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.packed_attention import packed_attention_in
from extune.training.preflight import packing_obstacle

BASE = Path(extune.__file__).parent / "shipped" / "base"
SHAPE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
EXACT = 1e-5


def qwen3() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16))


def with_lora() -> PreTrainedModel:
    torch.manual_seed(1)
    adapted = get_peft_model(qwen3(), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return adapted


def with_adapter(config: PeftConfig) -> PreTrainedModel:
    """A model whose adapter is not at its start, where some gradients are zero."""
    torch.manual_seed(1)
    adapted = get_peft_model(qwen3(), config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return adapted


def with_dora() -> PreTrainedModel:
    return with_adapter(LoraConfig(r=4, use_dora=True, target_modules="all-linear", task_type="CAUSAL_LM"))


def with_ia3() -> PreTrainedModel:
    return with_adapter(IA3Config(target_modules="all-linear", task_type="CAUSAL_LM"))


def with_prefix() -> PreTrainedModel:
    return with_adapter(PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))


def with_prompt() -> PreTrainedModel:
    return with_adapter(PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))


def with_prompt_encoder() -> PreTrainedModel:
    return with_adapter(PromptEncoderConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))


def llama() -> PreTrainedModel:
    torch.manual_seed(2)
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def qwen2() -> PreTrainedModel:
    torch.manual_seed(3)
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE))


def checkpointed() -> PreTrainedModel:
    model = qwen3()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


@st.composite
def rows_of_several_prefixes(draw: st.DrawFn) -> list[EncodedRow]:
    """Rows that begin with one of several heads, which share beginnings of their own; also rows that share nothing."""
    token = st.integers(20, 119)
    beginning = draw(st.lists(token, max_size=20))
    heads = [[*beginning, *draw(st.lists(token, max_size=30))] for _ in range(draw(st.integers(1, 3)))]
    rows = []
    for number in range(draw(st.integers(1, 7))):
        prompt = [*draw(st.sampled_from(heads)), *draw(st.lists(token, min_size=1, max_size=8))]
        answer = draw(st.lists(token, min_size=1, max_size=6))
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def some_rows(prefix: int = 12, count: int = 7, seed: int = 5) -> list[EncodedRow]:
    draw = random.Random(seed)
    head = [draw.randrange(20, 120) for _ in range(prefix)]
    rows = []
    for number in range(count):
        prompt = [*head, *(draw.randrange(20, 120) for _ in range(draw.randrange(1, 15)))]
        answer = [draw.randrange(20, 120) for _ in range(draw.randrange(1, 9))]
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def loss_and_gradients(model: PreTrainedModel, rows: list[EncodedRow], collator: BatchCollator) -> tuple[float, torch.Tensor]:
    """Mean over the targets, backward pack by pack; the gradient of all trained weights as one vector."""
    model.train()
    model.zero_grad()
    targets = sum(len(row.ids) - row.prompt_length for row in rows)
    total = 0.0
    for pack in collator.packs(rows):
        loss = target_losses(model, pack).sum() / targets
        loss.backward()
        total += loss.item()
    return total, torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("build", [qwen3, with_lora, with_dora, with_ia3, with_prefix, llama, qwen2, checkpointed])
@pytest.mark.parametrize("max_tokens", [10_000, 60, 1])
@pytest.mark.parametrize("prefix", [12, 0])
def test_packed_equals_one_row_at_a_time(build: Callable[[], PreTrainedModel], max_tokens: int, prefix: int) -> None:
    assert_packed_equals_single_rows(build(), some_rows(prefix), max_tokens)


def test_packed_equals_one_row_at_a_time_with_the_embedded_base() -> None:
    assert_packed_equals_single_rows(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32), some_rows(), 80)


@given(rows_of_several_prefixes(), st.integers(1, 200), st.integers(0, 40), st.integers(1, 9))
@settings(max_examples=12, deadline=None)
def test_any_rows_in_any_groups_equal_one_row_at_a_time(rows: list[EncodedRow], budget: int, cost: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "GROUP_COST", cost)
        assert_packed_equals_single_rows(with_lora(), rows, budget, at_once)


@pytest.mark.parametrize("build", [qwen3, with_lora, with_dora, with_ia3, with_prefix, llama])
def test_groups_of_rows_equal_one_row_at_a_time(build: Callable[[], PreTrainedModel]) -> None:
    rows = [*some_rows(30, 3, seed=1), *some_rows(40, 4, seed=2), *some_rows(0, 2, seed=3)]
    random.Random(4).shuffle(rows)
    assert len(packing.group_by_prefix(rows)) > 1
    assert_packed_equals_single_rows(build(), rows, 10_000, at_once=5)


def test_a_base_in_four_bits_is_packed_exactly() -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    base = load_base(BASE, "float32", "cpu", Quantization(type="nf4", double=True))
    assert_packed_equals_single_rows(add_adapter(base, QloraAdapter(r=4, lora_dropout=0.0)), some_rows(), 80)


@pytest.mark.parametrize("name", ["shared_prefix", "plain"])
@pytest.mark.parametrize("build", [qwen3, with_lora, with_prefix])
def test_logits_in_parts_are_those_of_the_whole(build: Callable[[], PreTrainedModel], name: PackingName) -> None:
    rows, model = some_rows(), build()
    with packed_attention_in(model):
        loss, gradient = loss_and_gradients(model, rows, BatchCollator(name, 10_000))
        for at_once in (1, 4, 1000):
            found, parts = loss_and_gradients(model, rows, BatchCollator(name, 10_000, at_once=at_once))
            assert found == pytest.approx(loss, rel=EXACT)
            assert (parts - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.parametrize("build", [with_lora, with_prefix, checkpointed])
def test_several_steps_end_at_the_same_weights(build: Callable[[], PreTrainedModel]) -> None:
    started = trained_weights(build())
    ends = []
    for name in ("off", "plain", "shared_prefix"):
        model = build()
        optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
        with packed_attention_in(model):
            for step in range(4):
                loss_and_gradients(model, some_rows(seed=step), BatchCollator(name, 100))
                optimizer.step()
        ends.append(trained_weights(model))
    for end in ends[1:]:
        assert (end - ends[0]).norm() <= 1e-4 * (ends[0] - started).norm()


def trained_weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([one.detach().flatten().clone() for one in model.parameters() if one.requires_grad])


def assert_packed_equals_single_rows(
    model: PreTrainedModel, rows: list[EncodedRow], max_tokens: int, at_once: int | None = None
) -> None:
    loss, gradient = loss_and_gradients(model, rows, BatchCollator(packing="off", max_tokens=1))
    with packed_attention_in(model):
        packed_loss, packed_gradient = loss_and_gradients(
            model, rows, BatchCollator("shared_prefix", max_tokens, at_once=at_once)
        )
    assert packed_loss == pytest.approx(loss, rel=EXACT)
    assert (packed_gradient - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.parametrize("build", [qwen3, with_prefix, with_prompt, with_prompt_encoder])
@pytest.mark.parametrize("max_tokens", [10_000, 80])
@pytest.mark.parametrize("name", ["plain", "off"])
def test_padded_equals_one_row_at_a_time(build: Callable[[], PreTrainedModel], max_tokens: int, name: PackingName) -> None:
    rows, model = some_rows(), build()
    loss, gradient = loss_and_gradients(model, rows, BatchCollator(packing="off", max_tokens=1))
    padded_loss, padded_gradient = loss_and_gradients(model, rows, BatchCollator(packing=name, max_tokens=max_tokens))
    assert padded_loss == pytest.approx(loss, rel=EXACT)
    assert (padded_gradient - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.parametrize("build", [with_prompt, with_prompt_encoder])
def test_embeddings_of_virtual_tokens_are_not_packed(build: Callable[[], PreTrainedModel]) -> None:
    assert "virtual tokens" in str(packing_obstacle(build()))
    assert packing_obstacle(with_prefix()) is None


@pytest.mark.parametrize("build", [with_dora, with_ia3, with_prompt, with_prompt_encoder])
def test_checkpointed_layers_have_the_same_gradient(build: Callable[[], PreTrainedModel]) -> None:
    rows, collator = some_rows(), BatchCollator(packing="plain", max_tokens=10_000)
    loss, gradient = loss_and_gradients(build(), rows, collator)
    model = build()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    same_loss, same_gradient = loss_and_gradients(model, rows, collator)
    assert same_loss == pytest.approx(loss, rel=EXACT)
    assert (same_gradient - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.parametrize(("build", "name"), [(with_prefix, "shared_prefix"), (with_prefix, "plain"), (with_prompt, "plain")])
def test_virtual_tokens_are_multiplied_in_bfloat16_too(build: Callable[[], PreTrainedModel], name: PackingName) -> None:
    rows, model = some_rows(), build()
    exact, _ = loss_and_gradients(model, rows, BatchCollator(packing="plain", max_tokens=10_000))
    with packed_attention_in(model), torch.autocast("cpu", torch.bfloat16):
        loss, gradient = loss_and_gradients(model, rows, BatchCollator(name, max_tokens=10_000))
    assert loss == pytest.approx(exact, rel=3e-2)
    assert torch.isfinite(gradient).all()
    assert gradient.norm() > 0


def test_a_model_that_may_pack_still_computes_plain_batches() -> None:
    rows, model = some_rows(), qwen3()
    collator = BatchCollator(packing="plain", max_tokens=10_000)
    plain = loss_and_gradients(model, rows, collator)
    with packed_attention_in(model):
        same = loss_and_gradients(model, rows, collator)
    assert same[0] == plain[0]
    assert torch.equal(same[1], plain[1])


def test_the_attention_of_a_model_is_given_back() -> None:
    model = qwen3()
    before = model.config._attn_implementation
    with pytest.raises(KeyError), packed_attention_in(model):
        raise KeyError
    assert model.config._attn_implementation == before
