"""`extune train --nproc 2`: two processes, one run; an error ends both and is said once."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.e2e.conftest import Done

from extune.cli.main import main
from extune.runs.run_dir import RunDir

no_deepspeed = find_spec("deepspeed") is None or not (shutil.which("g++") and shutil.which("ninja"))
needs_deepspeed = pytest.mark.skipif(no_deepspeed, reason="on CPUs DeepSpeed compiles with g++ and ninja")
STRATEGIES = ["ddp", "fsdp", pytest.param("zero2", marks=needs_deepspeed)]
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="torchrun's gloo is tried out on Linux")


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_make_one_run(strategy: str, recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["training.per_device_train_batch_size=1", f"parallel.strategy={strategy}", "--out", str(run)]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["train", str(recipe_file), *words, "--nproc", "2"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert RunDir(run).is_finished
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert main(["predict", str(run), "--text", "患者头痛，服黄芪。"]) == 0


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_process_that_fails_ends_the_others_with_its_error(
    strategy: str, recipe_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["training.learning_rate=1e30", "training.lr_scheduler_type=constant", "training.warmup_ratio=0"]
    words += [f"parallel.strategy={strategy}", "--out", str(tmp_path / "run"), "--nproc", "2"]
    assert main(["train", str(recipe_file), *words]) == 1
    said = capfd.readouterr().err
    assert said.count("TrainingError: training.learning_rate: the loss became") == 1
    assert "Traceback" not in said


def test_several_machines_need_a_place_to_meet(extune: Callable[..., Done], recipe_file: Path) -> None:
    done = extune("train", recipe_file, "--nnodes", 2)
    assert done.code == 2
    assert "--rdzv HOST:29500" in done.err
    assert extune("train", recipe_file, "--rdzv", "here:1").code == 2


@pytest.mark.slow
@needs_posix
def test_two_machines_make_one_run(recipe_file: Path, tmp_path: Path) -> None:
    """As far as one machine can show it: two launchers, each with its own process, that meet at a port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    run = tmp_path / "run"
    words = ["train", str(recipe_file), "--out", str(run), "--nnodes", "2", "--rdzv", place]
    machines = [subprocess.Popen([sys.executable, "-m", "extune", *words], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    heard = [machine.communicate()[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], heard
    assert RunDir(run).is_finished
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert main(["predict", str(run), "--text", "患者头痛，服黄芪。"]) == 0
