"""A training that is killed at any point, also while it writes, resumes to the very weights of one that was not.

The killed training is a fork of the test's process, so that real signals can end it and torch is imported once.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.invariants.test_resume import SETUP, Dev, full, some_rows, weights, with_dropout
from transformers import PreTrainedModel

from extune.errors import TrainingError
from extune.training.checkpoints import find_damage, last_checkpoint
from extune.training.trainer import TrainingResult, train_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def trained(
    folder: Path, build: Callable[[], PreTrainedModel] = full, resume: bool = False
) -> tuple[torch.Tensor, TrainingResult]:
    model = build()
    result = train_model(model, some_rows(), SETUP, folder, score_dev=Dev(model), resume=resume)
    return weights(model), result


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not interrupted; tests take copies."""
    folder = tmp_path_factory.mktemp("whole")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """The weights of a training that was not interrupted, with dropout."""
    return trained(tmp_path_factory.mktemp("expected"), with_dropout)[0]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], Any]) -> None:
    """Run the work in a fork, which must be killed by it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)  # only a work that was not killed comes here
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def in_the_nth_forward(number: int, folder: Path) -> None:
    calls = iter(range(1, 10**9))
    model = with_dropout()
    model.register_forward_hook(lambda *_: die() if next(calls) == number else None)
    train_model(model, some_rows(), SETUP, folder, score_dev=Dev(model))


def in_the_nth_save(number: int, folder: Path) -> None:
    """Killed in the middle of writing the nth of the files that torch writes."""
    calls, save = iter(range(1, 10**9)), torch.save

    def torn(value: object, path: str, *given: Any) -> None:
        save(value, path, *given)
        if next(calls) == number:
            os.truncate(path, Path(path).stat().st_size // 2)
            die()

    torch.save = torn
    in_the_nth_forward(-1, folder)


def in_the_nth_scoring(number: int, folder: Path) -> None:
    model = with_dropout()
    train_model(model, some_rows(), SETUP, folder, score_dev=Dev(model, number, die))


def some_kills() -> Iterator[tuple[Callable[[int, Path], None], int]]:
    draw = random.Random(11)
    yield from ((in_the_nth_forward, draw.randrange(5, 36)) for _ in range(2))
    yield in_the_nth_save, draw.randrange(1, 4)
    yield in_the_nth_save, draw.randrange(4, 10)
    yield in_the_nth_scoring, 3


@pytest.mark.parametrize(("where", "number"), some_kills())
def test_a_training_killed_anywhere_resumes_bit_for_bit(
    where: Callable[[int, Path], None], number: int, expected: torch.Tensor, tmp_path: Path
) -> None:
    killed(lambda: where(number, tmp_path))
    assert torch.equal(trained(tmp_path, with_dropout, resume=True)[0], expected)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "rng_state.pth", "trainer_state.json"])
def test_a_checkpoint_with_a_file_cut_off_is_named_and_the_one_before_is_used(
    name: str, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(whole / "checkpoints", checkpoints)
    last = last_checkpoint(checkpoints)
    assert last is not None
    os.truncate(last / name, (last / name).stat().st_size - 7)
    before = last_checkpoint(checkpoints)
    assert before is not None
    assert (before.parent, before.name < last.name) == (checkpoints, True)
    assert f"{last} is passed over" in caplog.text
    assert name in caplog.text


def test_every_missing_file_is_damage(whole: Path, tmp_path: Path) -> None:
    last = last_checkpoint(whole / "checkpoints")
    assert last is not None
    assert find_damage(last) is None
    for pattern in ("*.safetensors", "optimizer.pt", "rng_state.pth", "trainer_state.json"):
        copy = tmp_path / pattern.strip("*.")
        shutil.copytree(last, copy)
        for file in copy.glob(pattern):
            file.unlink()
        assert find_damage(copy) is not None


def test_a_run_that_was_moved_finds_its_best_checkpoint(whole: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(whole, moved)
    original, first = trained(whole, resume=True)  # nothing is left to train: the best weights are loaded
    shutil.move(whole / "checkpoints", tmp_path / "elsewhere")
    try:
        found, second = trained(moved, resume=True)
    finally:
        shutil.move(tmp_path / "elsewhere", whole / "checkpoints")
    assert (second.best_step, second.best_score) == (first.best_step, first.best_score)
    assert torch.equal(found, original)


def test_a_lost_best_checkpoint_is_said(whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(whole, tmp_path / "run")
    best = trained(tmp_path / "run", resume=True)[1].best_step
    last = last_checkpoint(tmp_path / "run" / "checkpoints")
    assert last is not None
    if last.name == f"checkpoint-{best}":
        pytest.fail("the best checkpoint must not be the last one for this test")
    shutil.rmtree(last.with_name(f"checkpoint-{best}"))
    result = trained(tmp_path / "run", resume=True)[1]
    assert "had the best dev score" in caplog.text
    assert result.best_score is None


def test_a_full_disk_is_named_and_training_goes_on_from_the_last_good_checkpoint(tmp_path: Path) -> None:
    model = with_dropout()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))  # noqa: E731 - files end there
    try:
        with pytest.raises(TrainingError, match="could not be written to its end") as caught:
            train_model(model, some_rows(), SETUP, tmp_path, score_dev=Dev(model, 2, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "checkpoint-4" in caught.value.fix
    assert trained(tmp_path, with_dropout, resume=True)[1].resumed_from == 4


def test_sigterm_saves_the_running_step_and_stops(tmp_path: Path) -> None:
    model = full()
    press = lambda: signal.raise_signal(signal.SIGTERM)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        train_model(model, some_rows(), SETUP, tmp_path, score_dev=Dev(model, 1, press))
    last = last_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    assert last.name == "checkpoint-5"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
