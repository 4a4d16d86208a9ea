"""What a training leaves behind: the best weights, the log, checkpoints, a model as it came."""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.errors import TrainingError
from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training import trainer
from extune.training.batches import BatchCollator, target_losses
from extune.training.callbacks import Speed
from extune.training.memory_plan import MOST_TOKENS, activation_bytes_per_token, plan_pack_tokens
from extune.training.precision import Precision, choose_precision, multiplies_bfloat16
from extune.training.trainer import TrainingSetup, train_model

SHAPE = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=1, head_dim=16, tie_word_embeddings=True))


def some_rows() -> list[EncodedRow]:
    draw = random.Random(3)
    rows = []
    for number in range(12):
        word = draw.randrange(20, 90)
        prompt = [*range(10), word, 3]
        rows.append(EncodedRow(str(number), (*prompt, word, 2), len(prompt), ""))
    return rows


def setup(selection: SelectionSection | None = None, autocast: bool = False, **settings: object) -> TrainingSetup:
    training = TrainingSection(**{"per_device_train_batch_size": 4, "num_train_epochs": 4, "logging_steps": 3, **settings})
    return TrainingSetup(training, selection or SelectionSection(), autocast=autocast)


class Scores:
    """Scores that were decided beforehand, and the weights that each was given for."""

    def __init__(self, model: PreTrainedModel, scores: list[float], metric: str = "f1") -> None:
        self.model, self.scores, self.metric = model, iter(scores), metric
        self.weights: list[torch.Tensor] = []

    def __call__(self) -> dict[str, float]:
        self.weights.append(weights(self.model))
        return {self.metric: next(self.scores)}


def weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def log_lines(path: Path) -> Iterator[dict[str, float]]:
    return (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def mean_loss(model: PreTrainedModel) -> float:
    with torch.no_grad():
        (pack,) = BatchCollator(packing="plain", max_tokens=10_000).packs(some_rows())
        return float(target_losses(model, pack).mean())


@pytest.mark.parametrize("autocast", [False, True])
def test_training_learns_and_gives_the_model_back_as_it_came(autocast: bool, tmp_path: Path) -> None:
    model = tiny()
    before, forward = mean_loss(model), model.forward
    result = train_model(model, some_rows(), setup(autocast=autocast, learning_rate=2e-2), tmp_path)
    assert mean_loss(model) < before / 2
    assert result.packed
    assert (result.steps, result.best_step, result.best_score) == (12, 12, None)
    assert model.forward == forward
    assert (model.config.use_cache, model.config._attn_implementation, model.training) == (True, "sdpa", False)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_the_best_weights_are_in_the_model_at_the_end(tmp_path: Path) -> None:
    model = tiny()
    dev = Scores(model, [0.2, 0.7, 0.7, 0.4])
    result = train_model(model, some_rows(), setup(), tmp_path, score_dev=dev)
    assert (result.best_step, result.best_score, result.steps) == (6, 0.7, 12)
    assert torch.equal(weights(model), dev.weights[1])


def test_a_lower_loss_is_better(tmp_path: Path) -> None:
    model = tiny()
    dev = Scores(model, [0.2, 0.1, 0.3, 0.4], "loss")
    result = train_model(model, some_rows(), setup(SelectionSection(metric="loss")), tmp_path, score_dev=dev)
    assert (result.best_step, result.best_score) == (6, 0.1)


def test_early_stopping_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    model = tiny()
    selection = SelectionSection(early_stopping_patience=2, eval_steps=2)
    result = train_model(model, some_rows(), setup(selection), tmp_path, score_dev=Scores(model, [0.5, 0.4, 0.5, 0.9]))
    assert (result.best_step, result.steps) == (2, 6)


def test_only_the_newest_and_the_best_checkpoints_are_kept(tmp_path: Path) -> None:
    model = tiny()
    selection = SelectionSection(save_total_limit=2, eval_steps=2)
    train_model(model, some_rows(), setup(selection), tmp_path, score_dev=Scores(model, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5]))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"checkpoint-2", "checkpoint-10", "checkpoint-12"}


def test_the_log_has_a_line_per_logging_step_and_score(tmp_path: Path) -> None:
    model = tiny()
    result = train_model(model, some_rows(), setup(), tmp_path, score_dev=Scores(model, [0.2, 0.7, 0.7, 0.4]))
    lines = list(log_lines(result.log))
    assert [line["step"] for line in lines if "loss" in line] == [1, 3, 6, 9, 12]
    assert [(line["step"], line["dev_f1"]) for line in lines if "dev_f1" in line] == [(3, 0.2), (6, 0.7), (9, 0.7), (12, 0.4)]
    assert {"step", "epoch", "loss", "learning_rate", "grad_norm", "rows_per_second", "target_tokens_per_second"} == set(
        lines[0]
    )
    assert lines[-1]["epoch"] == 4


def test_the_first_loss_is_the_mean_over_targets(tmp_path: Path) -> None:
    model = tiny()
    expected = mean_loss(model)
    result = train_model(model, some_rows(), setup(per_device_train_batch_size=12, max_steps=1), tmp_path)
    assert next(log_lines(result.log))["loss"] == pytest.approx(expected, rel=1e-5)


def test_progress_shows_loss_speed_and_scores(tmp_path: Path) -> None:
    model, screen = tiny(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    dev = Scores(model, [0.25, 0.5, 0.75, 0.5])
    train_model(model, some_rows(), setup(), tmp_path, score_dev=dev, console=console)
    shown = screen.getvalue()
    assert all(text in shown for text in ("loss", "rows/s", "targets/s", "12/12", "step 9  dev_f1 0.7500"))


class Clock:
    """Seconds that pass only when something says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_speeds_are_read_since_the_last_reading_and_overall() -> None:
    clock = Clock()
    speed = Speed(clock)
    assert speed.overall is None
    for rows, seconds in ((4, 1.0), (8, 1.0)):
        with speed.measure(rows, 10 * rows):
            clock.pass_by(seconds)
        clock.pass_by(100)
    assert speed.read() == {"rows_per_second": 6, "target_tokens_per_second": 60}
    speed.count(2, 20, 5.0)
    assert speed.read() == {"rows_per_second": 0.4, "target_tokens_per_second": 4}
    assert speed.overall == 2


@pytest.mark.parametrize(("dev_seconds", "dev_speed"), [(5.0, 0.4), (0.25, 8.0)])
def test_rows_a_second_of_training_and_of_the_dev_set_are_told(
    dev_seconds: float, dev_speed: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A training batch of 4 rows takes a second, 2 dev rows take as long as they are told to."""
    clock, model, screen = Clock(), tiny(), io.StringIO()
    monkeypatch.setattr(trainer, "Speed", lambda: Speed(clock))
    model.register_forward_hook(lambda *_: clock.pass_by(1))

    def score() -> dict[str, float]:
        clock.pass_by(dev_seconds)
        return {"f1": 0.5, "rows": 2}

    console = Console(file=screen, force_terminal=True, width=120)
    with caplog.at_level(logging.WARNING, logger="extune"):
        result = train_model(model, some_rows(), setup(), tmp_path, score_dev=score, console=console)
    lines = list(log_lines(result.log))
    assert {line["rows_per_second"] for line in lines if "loss" in line} == {4}
    assert {tuple(line) for line in lines if "dev_f1" in line} == {("step", "epoch", "dev_f1", "dev_rows_per_second")}
    assert {line["dev_rows_per_second"] for line in lines if "dev_f1" in line} == {dev_speed}
    assert (result.train_rows_per_second, result.dev_rows_per_second) == (4, dev_speed)
    assert f"dev_f1 0.5000  {dev_speed} dev rows/s" in screen.getvalue()
    assert f"trained 4.0 rows/s, predicted and scored {dev_speed} dev rows/s" in screen.getvalue()
    assert ("a dev row took longer than a training row (0.4 and 4.0 rows/s)" in caplog.text) == (dev_speed < 4)


def test_without_a_dev_set_only_the_speed_of_training_is_told(tmp_path: Path) -> None:
    screen = io.StringIO()
    result = train_model(tiny(), some_rows(), setup(max_steps=1), tmp_path, console=Console(file=screen, width=120))
    assert result.dev_rows_per_second is None
    assert (result.train_rows_per_second or 0) > 0
    assert "trained " in screen.getvalue()
    assert "dev rows/s" not in screen.getvalue()


def test_without_a_console_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_model(tiny(), some_rows(), setup(max_steps=2), tmp_path)
    assert capsys.readouterr() == ("", "")


def test_a_loss_that_diverges_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss became"):
        train_model(tiny(), some_rows(), setup(learning_rate=1e30, lr_scheduler_type="constant", warmup_ratio=0), tmp_path)


def test_what_is_trained_is_float32() -> None:
    native = multiplies_bfloat16("cpu")
    assert choose_precision("auto", "full", "cpu") == Precision("float32", autocast=native)
    assert choose_precision("auto", "lora", "cpu") == Precision("float32", autocast=native)
    assert choose_precision("float32", "lora", "cuda") == Precision("float32", autocast=False)
    assert choose_precision("bfloat16", "full", "cuda") == Precision("float32", autocast=True)
    assert choose_precision("bfloat16", "lora", "cpu") == Precision("bfloat16", autocast=True)
    assert choose_precision("auto", "freeze", "cuda").weights == "float32"
    assert choose_precision("auto", "qlora", "cpu") == Precision("float32", autocast=native)


def test_float16_is_replaced_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_precision("float16", "lora", "cpu") == choose_precision("auto", "lora", "cpu")
    assert "float16 overflows" in caplog.text


def test_memory_is_planned_in_tokens() -> None:
    model, row, device = tiny(), some_rows()[0], torch.device("cpu")
    kept = activation_bytes_per_token(model, row, device)
    assert kept > 2 * 32 * 4  # at least one hidden state per layer
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    assert activation_bytes_per_token(model, row, device) < kept / 2
    assert plan_pack_tokens(model, row, device) == MOST_TOKENS
