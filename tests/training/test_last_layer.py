"""The last MLP computes what is read alone: the same loss and gradient; where that is not so, every position is computed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from extune.recipe.sections import PackingName, SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.last_layer import last_mlp, only_at
from extune.training.packed_attention import packed_attention_in
from extune.training.proof import answers_difference
from extune.training.setup import TrainingSetup
from extune.training.trainer import train_model

SHAPE: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CPU = torch.device("cpu")
EXACT = 1e-5


def qwen3() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16))


def llama() -> PreTrainedModel:
    torch.manual_seed(2)
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def experts() -> PreTrainedModel:
    torch.manual_seed(3)
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**SHAPE, **sizes, head_dim=16))


def adapted(config: Any) -> PreTrainedModel:
    torch.manual_seed(1)
    model = get_peft_model(qwen3(), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def with_lora() -> PreTrainedModel:
    return adapted(LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))


def with_prefix() -> PreTrainedModel:
    return adapted(PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))


def with_prompt() -> PreTrainedModel:
    return adapted(PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))


def some_rows(count: int = 6) -> list[EncodedRow]:
    draw = random.Random(5)
    head = [draw.randrange(20, 120) for _ in range(20)]
    rows = []
    for number in range(count):
        prompt = [*head, *(draw.randrange(20, 120) for _ in range(draw.randrange(1, 15)))]
        answer = [draw.randrange(20, 120) for _ in range(draw.randrange(1, 9))]
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def loss_and_gradients(model: PreTrainedModel, rows: list[EncodedRow], collator: BatchCollator) -> tuple[float, torch.Tensor]:
    model.train()
    model.zero_grad()
    total = 0.0
    for pack in collator.packs(rows):
        loss = target_losses(model, pack).sum()
        loss.backward()
        total += loss.item()
    return total, torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def assert_narrow_equals_single_rows(model: PreTrainedModel, rows: list[EncodedRow], packing: PackingName, size: int) -> None:
    loss, gradient = loss_and_gradients(model, rows, BatchCollator("off", 1))
    with packed_attention_in(model):
        found, narrow = loss_and_gradients(model, rows, BatchCollator(packing, size, narrow=True))
    assert found == pytest.approx(loss, rel=EXACT)
    assert (narrow - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.parametrize(
    ("build", "packing"),
    [
        (qwen3, "shared_prefix"),
        (qwen3, "plain"),
        (llama, "shared_prefix"),
        (experts, "shared_prefix"),
        (with_lora, "shared_prefix"),
        (with_prefix, "shared_prefix"),
        (with_prefix, "plain"),
        (with_prompt, "plain"),
    ],
)
def test_what_is_not_read_changes_nothing(build: Callable[[], PreTrainedModel], packing: PackingName) -> None:
    assert_narrow_equals_single_rows(build(), some_rows(), packing, 90)


def test_what_is_not_read_changes_nothing_in_the_embedded_base(base_model: PreTrainedModel) -> None:
    assert_narrow_equals_single_rows(deepcopy(base_model), some_rows(), "shared_prefix", 10_000)


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), min_size=1, max_size=5), st.integers(1, 80), st.booleans())
@settings(max_examples=10, deadline=None)
def test_any_rows_have_the_same_loss_and_gradient(lengths: list[tuple[int, int]], size: int, packed: bool) -> None:
    draw = random.Random(len(lengths))
    rows = []
    for number, (prompt, answer) in enumerate(lengths):
        ids = [*range(20, 30), *(draw.randrange(20, 120) for _ in range(prompt + answer))]
        rows.append(EncodedRow(str(number), tuple(ids), 10 + prompt, ""))
    assert_narrow_equals_single_rows(with_lora(), rows, "shared_prefix" if packed else "plain", size)


def test_the_last_mlp_gets_only_the_positions_that_predict_a_target() -> None:
    model, rows, lengths = qwen3(), some_rows(), []
    for layer in model.model.layers:
        layer.mlp.gate_proj.register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1]))
    (pack,) = BatchCollator("shared_prefix", 10_000, narrow=True).packs(rows)
    with packed_attention_in(model):
        target_losses(model, pack)
        assert lengths == [pack["input_ids"].shape[1], sum(len(row.ids) - row.prompt_length for row in rows)]
        model(input_ids=torch.tensor([rows[0].ids]))
    assert lengths[2:] == [len(rows[0].ids)] * 2, "the hooks are gone"


class Doubling(nn.Module):
    """Doubles, in the shape of which the test is, and gives something beside it."""

    def forward(self, *inputs: torch.Tensor) -> Any:
        return (2 * inputs[0], "beside") if len(inputs) == 1 else 2 * inputs[0]


def test_an_mlp_that_returns_more_is_narrowed_and_one_that_takes_more_is_not() -> None:
    positions, states = torch.tensor([1, 5]), torch.randn(2, 4, 3)
    with only_at(Doubling(), positions, 4):
        pass
    mlp = Doubling()
    with only_at(mlp, positions, 4):
        narrowed, beside = mlp(states)
        whole = mlp(states, states)
    expected = torch.zeros_like(states)
    expected[0, 1], expected[1, 1] = 2 * states[0, 1], 2 * states[1, 1]
    assert torch.equal(narrowed, expected)
    assert beside == "beside"
    assert torch.equal(whole, 2 * states)


def test_where_there_is_no_such_part_there_is_none() -> None:
    sizes = {"vocab_size": 90, "hidden_size": 24, "num_hidden_layers": 1, "bos_token_id": 1, "eos_token_id": 2}
    for kind in ("mamba", "gpt2"):
        assert last_mlp(AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes))) is None
    model = with_lora()
    assert last_mlp(model) is model.get_base_model().model.layers[-1].mlp


class Mixing(nn.Module):
    """An MLP in which positions reach each other."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.inner(states + states.cumsum(1))
        return out


def train(model: PreTrainedModel, out: Path, **settings: Any) -> torch.Tensor:
    section = TrainingSection(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-3, **settings)
    train_model(model, some_rows(), TrainingSetup(section, SelectionSection()), out)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_an_mlp_that_mixes_positions_is_found_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def mixing() -> PreTrainedModel:
        model = qwen3()
        model.model.layers[-1].mlp = Mixing(model.model.layers[-1].mlp)
        return model

    assert "last MLP" in str(answers_difference(mixing(), some_rows()[0], CPU, narrow=True))
    assert answers_difference(qwen3(), some_rows()[0], CPU, narrow=True) is None
    with caplog.at_level(logging.WARNING, logger="extune"):
        found = train(mixing(), tmp_path / "mixing", packing="plain")
    assert "every position" in caplog.text
    torch.testing.assert_close(found, train(mixing(), tmp_path / "off", packing="off"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_training_ends_at_the_weights_of_all_positions(
    checkpointing: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="extune"):
        found = train(qwen3(), tmp_path / "packed", gradient_checkpointing=checkpointing)
    assert not caplog.records
    torch.testing.assert_close(found, train(qwen3(), tmp_path / "off", packing="off"), rtol=1e-4, atol=1e-5)
