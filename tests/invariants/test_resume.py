"""A training that is killed and resumed ends with the very weights and log of one that was not."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.checkpoints import last_checkpoint
from extune.training.trainer import TrainingSetup, train_model


def full() -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16}
    return Qwen3ForCausalLM(Qwen3Config(**shape, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True))


def with_dropout() -> PreTrainedModel:
    model = full()
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=4, lora_dropout=0.2, target_modules="all-linear", task_type="CAUSAL_LM"))


def some_rows() -> list[EncodedRow]:
    draw = random.Random(3)
    rows = []
    for number in range(22):
        prompt = [*range(10), *(draw.randrange(20, 90) for _ in range(draw.randrange(2, 12)))]
        answer = [draw.randrange(20, 90) for _ in range(draw.randrange(1, 6))]
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


SETUP = TrainingSetup(
    TrainingSection(num_train_epochs=3, per_device_train_batch_size=2, gradient_accumulation_steps=2, logging_steps=2),
    SelectionSection(eval_steps=4, metric="loss"),
)  # 22 rows: 11 batches, the last step of an epoch has one batch, 6 steps an epoch, 18 steps


class Dev:
    """Scores that depend on the weights, and draw random numbers; at the nth scoring something may happen."""

    def __init__(self, model: PreTrainedModel, at: int | None = None, what: Callable[[], Any] = lambda: None) -> None:
        self.model, self.at, self.what, self.calls = model, at, what, 0

    def __call__(self) -> dict[str, float]:
        self.calls += 1
        torch.rand(self.calls)
        if self.calls == self.at:
            self.what()
        assert not self.model.training
        return {"loss": float(sum(p.float().square().sum() for p in self.model.parameters() if p.requires_grad))}


def kill() -> None:
    raise KeyboardInterrupt


def weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def log_without_speed(path: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in json.loads(line).items() if not name.endswith("_per_second")}
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("build", [full, with_dropout])
@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one(build: Any, killed_at: int, tmp_path: Path) -> None:
    whole = build()
    expected = train_model(whole, some_rows(), SETUP, tmp_path / "whole", score_dev=Dev(whole))

    model = build()
    with pytest.raises(KeyboardInterrupt):
        train_model(model, some_rows(), SETUP, tmp_path / "cut", score_dev=Dev(model, killed_at, kill))
    model = build()
    result = train_model(model, some_rows(), SETUP, tmp_path / "cut", score_dev=Dev(model), resume=True)

    assert torch.equal(weights(model), weights(whole))
    assert result.resumed_from == 4 * (killed_at - 1)
    assert (result.best_step, result.best_score, result.steps) == (expected.best_step, expected.best_score, expected.steps)
    assert [line["step"] for line in log_without_speed(result.log)] == [
        line["step"] for line in log_without_speed(expected.log)
    ]


def test_ctrl_c_saves_the_running_step_and_stops(tmp_path: Path) -> None:
    whole = full()
    train_model(whole, some_rows(), SETUP, tmp_path / "whole", score_dev=Dev(whole))
    model = full()
    press = lambda: signal.raise_signal(signal.SIGINT)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        train_model(model, some_rows(), SETUP, tmp_path / "cut", score_dev=Dev(model, 2, press))
    assert last_checkpoint(tmp_path / "cut" / "checkpoints").name == "checkpoint-9"  # scored at 8, pressed, 9 was finished
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model = full()
    train_model(model, some_rows(), SETUP, tmp_path / "cut", score_dev=Dev(model), resume=True)
    assert torch.equal(weights(model), weights(whole))


def test_a_checkpoint_that_was_torn_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    model = full()
    with pytest.raises(KeyboardInterrupt):
        train_model(model, some_rows(), SETUP, tmp_path, score_dev=Dev(model, 2, kill))
    torn = tmp_path / "checkpoints" / "checkpoint-8"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st', encoding="utf-8")
    assert last_checkpoint(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "checkpoint-4"


def test_resuming_where_nothing_was_saved_begins(tmp_path: Path) -> None:
    model = full()
    result = train_model(model, some_rows(), SETUP, tmp_path, resume=True)
    assert (result.resumed_from, result.steps, result.best_score) == (0, 18, None)
