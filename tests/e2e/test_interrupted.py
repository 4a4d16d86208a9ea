"""The real command, in a process of its own, is told to stop, says how to go on, and goes on."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from extune.cli.main import main


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_sigterm_saves_and_says_how_to_go_on(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", str(recipe_file), "training.max_steps=400", "selection.eval_steps=400", "--out", str(run)]
    with subprocess.Popen([sys.executable, "-m", "extune", *words], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (run / "log.jsonl").exists():
            try:
                process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    (advice,) = [line for line in said.splitlines() if line.startswith("continue with: extune ")]
    again = shlex.split(advice.removeprefix("continue with: extune "))
    assert again == [*words, "--resume"]
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert (run / "curves.svg").is_file()
    changed = [word.replace("400", "401") if word.startswith("training.max_steps") else word for word in again]
    assert main(changed) == 2  # another recipe
    assert int(checkpoint.name.removeprefix("checkpoint-")) < 400
