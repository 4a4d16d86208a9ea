"""A step's gradient depends on its rows alone: batch 8 equals 4 x 2 equals 1 x 8, packed or padded, however memory cuts it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.trainer import TrainingSetup, train_model


def tiny() -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16}
    return Qwen3ForCausalLM(Qwen3Config(**shape, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True))


def rows_of_uneven_answers() -> list[EncodedRow]:
    draw = random.Random(3)
    rows = []
    for number in range(8):
        prompt = [*range(10), *(draw.randrange(20, 90) for _ in range(draw.randrange(2, 12)))]
        answer = [draw.randrange(20, 90) for _ in range(number + 1)]
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def weights_after_one_step(out: Path, **settings: object) -> tuple[float, torch.Tensor]:
    """Loss of the first step, and the weights after it."""
    max_pack_tokens = settings.pop("max_pack_tokens", None)
    model = tiny()
    training = TrainingSection(max_steps=1, learning_rate=1e-2, warmup_ratio=0, lr_scheduler_type="constant", **settings)
    setup = TrainingSetup(training, SelectionSection(), max_pack_tokens=max_pack_tokens)
    result = train_model(model, rows_of_uneven_answers(), setup, out)
    loss = float(result.log.read_text().split('"loss": ')[1].split(",")[0])
    return loss, torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    "settings",
    [
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
        {"per_device_train_batch_size": 8, "max_pack_tokens": 50},
        {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3, "max_pack_tokens": 1},
        {"per_device_train_batch_size": 8, "packing": "plain"},
        {"per_device_train_batch_size": 8, "packing": "off"},
        {"per_device_train_batch_size": 8, "packing": "plain", "max_pack_tokens": 50},
        {"per_device_train_batch_size": 8, "gradient_checkpointing": True},
    ],
)
def test_a_step_does_not_depend_on_how_its_rows_are_cut(settings: dict[str, object], tmp_path: Path) -> None:
    loss, weights = weights_after_one_step(tmp_path / "whole", per_device_train_batch_size=8)
    other_loss, other = weights_after_one_step(tmp_path / "cut", **settings)
    start = torch.cat([parameter.detach().flatten() for parameter in tiny().parameters()])
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert (other - weights).norm() <= 1e-3 * (weights - start).norm()  # AdamW's first step is the sign of the gradient
