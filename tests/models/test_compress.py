"""llm-compressor in another process: what is missing or goes wrong there is said here, with the way on."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.models import fake_compressor

from extune.errors import ModelError, RecipeError
from extune.models.compress import Compressor, Job, compress, find_compressor

ROWS = ((1, 300, 400, 2), (1, 500, 2))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    model = tmp_path / "whole"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    save_file({"up_proj.weight": np.eye(4, dtype=np.float32)}, model / "model.safetensors")
    return Job(model, ROWS, "awq", "float32")


def run(does: str, job: Job, folder: Path) -> None:
    compress(find_compressor(fake_compressor.install(folder, does)), job, folder / "model", folder / "awq.log")


def test_an_interpreter_is_asked_for_its_release(tmp_path: Path) -> None:
    python = fake_compressor.install(tmp_path)
    assert find_compressor(python) == Compressor(str(python), fake_compressor.VERSION)


@pytest.mark.parametrize("python", ["no-such-python", sys.executable, None])
def test_a_missing_compressor_names_its_installation(python: str | None, tmp_path: Path) -> None:
    if find_spec("llmcompressor") is not None:
        pytest.skip("llm-compressor is in this environment")
    with pytest.raises(RecipeError) as caught:
        find_compressor(tmp_path / python if python == "no-such-python" else python)
    assert caught.value.exit_code == 2
    assert "pip install llmcompressor==" in caught.value.fix
    assert "--python .venv-compress/bin/python" in caught.value.fix
    assert "--method nf4" in caught.value.fix


def test_what_the_script_says_of_its_work_comes_back(job: Job, tmp_path: Path) -> None:
    python = find_compressor(fake_compressor.install(tmp_path))
    said = compress(python, job, tmp_path / "model", tmp_path / "awq.log")
    assert said["seen"] == [list(ids) for ids in ROWS]
    assert said["method_asked"] == "awq"
    assert (tmp_path / "awq.log").is_file()


@pytest.mark.parametrize(
    ("does", "said", "way"),
    [
        ("fails", "ended with code 1: RuntimeError: no layers", "--method gptq"),
        ("pins", "Cannot access accelerator", "llmcompressor==0.12.0.2"),
        ("silent", "no report", "awq.log"),
        ("whole", "of kind 'whole'", "awq.log"),
    ],
)
def test_what_goes_wrong_there_is_an_error_here(does: str, said: str, way: str, job: Job, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        run(does, job, tmp_path)
    assert fake_compressor.VERSION in caught.value.what
    assert way in caught.value.fix
    assert (tmp_path / "awq.log").is_file()
