"""`extune train --nproc 2`: two processes, one run; an error ends both and is said once."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Done

from extune.cli.main import main
from extune.runs.run_dir import RunDir

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="torchrun's gloo is tried out on Linux")


@pytest.mark.slow
@needs_posix
def test_two_processes_make_one_run(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["training.per_device_train_batch_size=1", "--out", str(run)]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["train", str(recipe_file), *words, "--nproc", "2"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert RunDir(run).is_finished
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert main(["predict", str(run), "--text", "患者头痛，服黄芪。"]) == 0


@pytest.mark.slow
@needs_posix
def test_a_process_that_fails_ends_the_others_with_its_error(
    recipe_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["training.learning_rate=1e30", "training.lr_scheduler_type=constant", "training.warmup_ratio=0"]
    assert main(["train", str(recipe_file), *words, "--out", str(tmp_path / "run"), "--nproc", "2"]) == 1
    said = capfd.readouterr().err
    assert said.count("TrainingError: training.learning_rate: the loss became") == 1
    assert "Traceback" not in said


def test_several_machines_need_a_place_to_meet(extune: Callable[..., Done], recipe_file: Path) -> None:
    done = extune("train", recipe_file, "--nnodes", 2)
    assert done.code == 2
    assert "--rdzv HOST:29500" in done.err
    assert extune("train", recipe_file, "--rdzv", "here:1").code == 2
