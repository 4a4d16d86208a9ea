"""A path that does not compute the same is found on the first batch, with the figures; one that does passes."""

from __future__ import annotations

import logging
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.recipe.sections import PackingName, SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.packed_attention import NAME
from extune.training.proof import PACKS, answers_difference, packing_difference, targets_at_once
from extune.training.trainer import TrainingSetup, train_model

SHAPE = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
CPU = torch.device("cpu")


def build(kind: type[Qwen3ForCausalLM] = Qwen3ForCausalLM) -> PreTrainedModel:
    torch.manual_seed(0)
    return kind(Qwen3Config(**SHAPE, num_key_value_heads=1, head_dim=16, initializer_range=0.5))


def some_rows(count: int = 5) -> list[EncodedRow]:
    draw = random.Random(3)
    made = []
    for number in range(count):
        prompt = [*range(10), *(draw.randrange(20, 90) for _ in range(draw.randrange(2, 12)))]
        answer = [draw.randrange(20, 90) for _ in range(draw.randrange(2, 6))]
        made.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return made


class Leaky(Qwen3ForCausalLM):
    """A model that does not hand the layout down to its attention, so that rests see each other."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("layout", None)
        return super().forward(*args, **kwargs)


class WrongBackward(Qwen3ForCausalLM):
    """A model whose packed losses are right and whose packed gradient is not."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        out = super().forward(*args, **kwargs)
        if "layout" in kwargs:
            out.logits = out.logits.detach() + 0.5 * (out.logits - out.logits.detach())
        return out


class Shifted(Qwen3ForCausalLM):
    """A model whose head gets more than the hidden states of the tokens, behind them."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        out = self.model(*args, **kwargs).last_hidden_state
        logits = self.lm_head(torch.cat([out, out[:, :1]], dim=1))
        return type("Output", (), {"logits": logits[:, :-1] if logits.shape[1] == out.shape[1] + 1 else logits})()


class Inline(Qwen3ForCausalLM):
    """A model that never calls its head."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        logits = torch.nn.functional.linear(self.model(*args, **kwargs).last_hidden_state, self.lm_head.weight)
        return type("Output", (), {"logits": logits})()


@pytest.mark.parametrize("kind", [Qwen3ForCausalLM, Inline])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_exact_passes(dtype: torch.dtype, kind: type[Qwen3ForCausalLM]) -> None:
    model = build(kind).to(dtype)
    assert packing_difference(model, some_rows(), CPU, replace(PACKS, at_once=3)) is None
    assert answers_difference(model, some_rows()[0], CPU) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [Leaky, WrongBackward])
def test_a_wrong_loss_or_gradient_is_found_with_its_figures(kind: type[Qwen3ForCausalLM], dtype: torch.dtype) -> None:
    model = build(kind).to(dtype)
    reason = packing_difference(model, some_rows(), CPU)
    assert reason is not None
    figures = re.search(r"the loss is (\S+) packed and (\S+) one row.*losses (\S+) \(at most .*gradient (\S+) \(", reason)
    assert figures is not None, reason
    loss, gradient = float(figures[3]), float(figures[4])
    assert gradient > 0.1
    assert (loss > 0.1) == (kind is Leaky)


def test_looking_changes_nothing() -> None:
    model = build().train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    before, random_state = [weight.clone() for weight in model.parameters()], torch.get_rng_state()
    modes = [part.training for part in model.modules()]
    assert packing_difference(model, some_rows(), CPU) is None
    assert targets_at_once(model, some_rows()[0], CPU)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert all(weight.grad is None for weight in model.parameters())
    assert [part.training for part in model.modules()] == modes
    assert model.config._attn_implementation != NAME


def test_a_head_that_gets_other_states_is_found() -> None:
    model = build(Shifted)
    assert "differ by" in str(answers_difference(model, some_rows()[0], CPU))


def train(model: PreTrainedModel, out: Path, packing: PackingName = "shared_prefix") -> tuple[bool, torch.Tensor]:
    training = TrainingSection(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-3, packing=packing)
    result = train_model(model, some_rows(8), TrainingSetup(training, SelectionSection()), out)
    return result.packed, torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.mark.parametrize(
    ("kind", "words"), [(Leaky, "without packing"), (WrongBackward, "without packing"), (Shifted, "logits of every token")]
)
def test_training_goes_on_the_plain_way_and_says_so(
    kind: type[Qwen3ForCausalLM], words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="extune"):
        was_packed, found = train(build(kind), tmp_path / "fallen")
    assert words in caplog.text
    assert not was_packed
    _, expected = train(build(), tmp_path / "plain", "plain")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_the_heads_own_logits_are_divided() -> None:
    torch.manual_seed(0)
    granite = GraniteForCausalLM(GraniteConfig(**SHAPE, num_key_value_heads=1, logits_scaling=8.0))
    row = some_rows()[0]
    assert targets_at_once(granite, row, CPU) is None
    assert (targets_at_once(build(), row, CPU) or 0) * 90 <= 1 << 26
    (answers,) = BatchCollator("plain", 1000).packs([row])
    (every,) = BatchCollator("off", 1000).packs([row])
    with torch.no_grad():
        torch.testing.assert_close(target_losses(granite, answers), target_losses(granite, every))
