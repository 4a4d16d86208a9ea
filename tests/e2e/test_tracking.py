"""Trackers hear loss, learning rate and dev scores, no text, and cannot stop a training."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from extune.cli.main import main
from extune.errors import RecipeError
from extune.recipe.load import dump_recipe, load_recipe
from extune.recipe.sections import TrackingSection
from extune.training.tracking import Tracker, build_trackers, require_trackers

OFFLINE = {"offline": True, "project": "trial", "run_name": "first"}


@pytest.fixture
def args(tmp_path: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(tmp_path / "checkpoints"), use_cpu=True, report_to="none")


def tell(tracker: Tracker, args: TrainingArguments, *logs: dict[str, float]) -> None:
    """The events of a short training."""
    state, control = TrainerState(), TrainerControl()
    tracker.on_train_begin(args, state, control, model=None)
    for step, values in enumerate(logs, 1):
        state.global_step = step
        tracker.on_log(args, state, control, logs=values, model=None)
    tracker.on_train_end(args, state, control, model=None)
    tracker.close()


LOGS = ({"loss": 2.5, "learning_rate": 1e-4}, {"eval_f1": 0.75}, {"loss": 1.25, "learning_rate": 5e-5})


class Broken(TrainerCallback):
    def __init__(self) -> None:
        self.calls = 0

    def on_log(self, *_: Any, **__: Any) -> None:
        self.calls += 1
        raise OSError("the server is away")


def test_a_tracker_that_fails_is_reported_once_and_left_alone(
    args: TrainingArguments, caplog: pytest.LogCaptureFixture
) -> None:
    broken, closed = Broken(), []
    with caplog.at_level(logging.WARNING, logger="extune"):
        tell(Tracker("wandb", lambda: broken, lambda: closed.append(1)), args, *LOGS)
    assert broken.calls == 1
    assert [record.getMessage() for record in caplog.records] == [
        "tracking.report_to: wandb failed and is left out of this training: the server is away"
    ]


def test_a_tracker_that_cannot_be_opened_hears_nothing(args: TrainingArguments, caplog: pytest.LogCaptureFixture) -> None:
    def start() -> TrainerCallback:
        raise RuntimeError("no key")

    tell(Tracker("swanlab", start, lambda: None), args, *LOGS)
    assert len(caplog.records) == 1
    assert "swanlab failed" in caplog.text


def test_only_the_first_process_opens_trackers(args: TrainingArguments) -> None:
    opened: list[int] = []
    tracker = Tracker("mlflow", lambda: opened.append(1) or Broken(), lambda: None)
    tracker.on_train_begin(args, TrainerState(is_world_process_zero=False), TrainerControl())
    assert not opened


def test_a_tracker_that_is_not_installed_is_an_error_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RecipeError, match="pip install mlflow"):
        require_trackers(TrackingSection(report_to=("mlflow",)))


def build(name: str, run: Path) -> Tracker:
    (tracker,) = build_trackers(TrackingSection(report_to=(name,), **OFFLINE), run, "run")
    return tracker


def test_tensorboard_reads_what_was_logged(args: TrainingArguments, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tell(build("tensorboard", tmp_path), args, *LOGS)
    events = accumulator.EventAccumulator(str(tmp_path / "tracking" / "tensorboard"))
    events.Reload()
    read = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert read["train/loss"] == [(1, 2.5), (3, 1.25)]
    assert read["eval/f1"] == [(2, 0.75)]
    assert read["train/learning_rate"][0] == (1, pytest.approx(1e-4))


@pytest.mark.slow
def test_mlflow_s_file_holds_what_was_logged(args: TrainingArguments, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    tell(build("mlflow", tmp_path), args, *LOGS)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'tracking' / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("trial").experiment_id])
    assert run.info.run_name == "first"
    assert [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "loss")] == [(1, 2.5), (3, 1.25)]
    assert run.data.metrics["eval_f1"] == 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "swanlab"])
def test_offline_runs_stay_in_the_run_directory(
    name: str, args: TrainingArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    tell(build(name, tmp_path / "run"), args, *LOGS)
    assert not caplog.records
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert all(word in written for word in (b"eval/f1", b"train/loss", b"train/learning_rate"))


def test_a_list_of_names_is_a_section(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("task: {kind: extraction, types: {a: }}\ntracking: [wandb, tensorboard]\n", encoding="utf-8")
    recipe = load_recipe(path, "tracking.project=trial")
    assert recipe.tracking == TrackingSection(report_to=("wandb", "tensorboard"), project="trial")
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(path).tracking == recipe.tracking
    with pytest.raises(RecipeError, match=r"tracking\.report_to"):
        load_recipe(path, "tracking=[wandbb]")


def test_a_training_tells_its_trackers_no_text(recipe_file: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    assert main(["train", str(recipe_file), "tracking=[tensorboard]", "training.max_steps=2", "--out", str(run)]) == 0
    folder = run / "tracking" / "tensorboard"
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    for tag, key in (("train/loss", "loss"), ("train/learning_rate", "learning_rate"), ("eval/f1", "dev_f1")):
        logged = [(line["step"], pytest.approx(line[key])) for line in log if key in line]
        assert logged
        assert [(event.step, event.value) for event in events.Scalars(tag)] == logged
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not [word for word in ("患者", "黄芪", "头痛", "中药") if word.encode() in written]
