"""The recipe's optimizer is the one that trains: LoRA+'s two rates, optimizers in 8 bits, and what they need."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM

from extune.errors import RecipeError
from extune.models.quantize import loading_arguments
from extune.recipe.sections import SelectionSection, TrainingSection
from extune.runs.contract import Quantization
from extune.tokens.encode import EncodedRow
from extune.training.optimizer import build_loraplus_optimizer
from extune.training.trainer import TrainingSetup, build_arguments, train_model

SHAPE = {"vocab_size": 90, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


def adapted() -> PeftModel:
    torch.manual_seed(0)
    base = Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=1, head_dim=32))
    return get_peft_model(base, LoraConfig(r=64, target_modules="all-linear", task_type="CAUSAL_LM"))


def rows() -> list[EncodedRow]:
    draw = random.Random(3)
    return [EncodedRow(str(number), (*range(5), draw.randrange(20, 90), 9, 2), 6, "") for number in range(8)]


def setup(ratio: float | None = None, **settings: object) -> TrainingSetup:
    training = TrainingSection(**{"per_device_train_batch_size": 4, "max_steps": 4, "logging_steps": 1, **settings})
    return TrainingSetup(training, SelectionSection(), loraplus_lr_ratio=ratio)


def test_b_learns_as_many_times_faster_as_the_recipe_says(tmp_path: Path) -> None:
    model = adapted()
    arguments = build_arguments(setup(weight_decay=0.1, learning_rate=1e-3), tmp_path, 8, scored=False)
    optimizer = build_loraplus_optimizer(model, arguments, 16)
    rates = {id(one): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for one in group["params"]}
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    assert len(rates) == len(trained)
    for name, one in trained.items():
        assert rates[id(one)] == (pytest.approx(1e-3 * (16 if "lora_B" in name else 1)), 0.1)


def test_lora_plus_trains_with_both_rates(tmp_path: Path) -> None:
    moved = {}
    for ratio in (None, 16):
        model = adapted()
        # the first step of Adam moves every weight by its rate, as far as its gradient is not zero
        train_model(
            model,
            rows(),
            setup(ratio, max_steps=1, learning_rate=1e-4, warmup_ratio=0, lr_scheduler_type="constant"),
            tmp_path / str(ratio),
        )
        moved[ratio] = max(float(one.detach().abs().max()) for name, one in model.named_parameters() if "lora_B" in name)
    assert moved[None] == pytest.approx(1e-4, rel=0.01)
    assert moved[16] == pytest.approx(16e-4, rel=0.01)


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_8bit", "adafactor"])
def test_every_optimizer_learns(optim: str, tmp_path: Path) -> None:
    if optim.endswith("8bit"):
        pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    result = train_model(adapted(), rows(), setup(optim=optim, max_steps=12, learning_rate=5e-3), tmp_path)
    losses = [json.loads(line)["loss"] for line in result.log.read_text(encoding="utf-8").splitlines()]
    assert losses[-1] < 0.8 * losses[0]


def test_a_missing_extra_names_its_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extune.models.quantize.find_spec", lambda _: None)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RecipeError, match=r'pip install "extune\[qlora\]"'):
        loading_arguments(tmp_path, Quantization(type="nf4", double=True), torch.float32, "cpu")
    with pytest.raises(RecipeError, match=r'pip install "extune\[qlora\]"'):
        train_model(adapted(), rows(), setup(optim="paged_adamw_8bit"), tmp_path)
    assert loading_arguments(tmp_path, None, torch.float32, "cpu") == {}
