"""Leaving extune: the printed program runs where extune cannot be imported, and the model says the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from extune.domain.example import Example
from extune.predicting.open import build_encoder, load_predictor
from extune.runs.contract import read_contract, write_contract

Extune = Callable[..., Any]
TEXT = "患者<TEXT>头痛2日，服当归。"
_RUNNER = """\
import sys
sys.modules["extune"] = None  # importing it fails
text, *programs = sys.argv[1:]
for path in programs:
    sys.argv = [path, text]
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), {})
    print("--- end")
"""


def answer_freely(run: Path) -> str:
    """What extune's engine writes to the text where no grammar holds it."""
    predictor = load_predictor(run, device="cpu")
    contract = predictor.encoder.contract.model_copy(update={"constrain": False})
    free = replace(predictor, encoder=build_encoder(predictor.encoder.tokenizer, contract))
    return next(free.predict_many([Example("a", TEXT)])).completion


def test_programs_answer_as_extune_does(extune: Extune, trained_run: Path, recipe_file: Path, tmp_path: Path) -> None:
    assert extune("merge", trained_run, "--out", tmp_path / "merged", "--device", "cpu").code == 0
    prefix = ("adapter={method: prefix_tuning, num_virtual_tokens: 4}", "training.max_steps=1", "selection.eval_steps=1")
    assert extune("train", recipe_file, *prefix, "--out", tmp_path / "prefix").code == 0
    refused = extune("export", tmp_path / "prefix", "--to", "gguf")
    assert (refused.code, "virtual tokens" in refused.err) == (2, True), refused.err
    runs = [trained_run, tmp_path / "merged", tmp_path / "prefix"]
    programs = []
    for run in runs:
        done = extune("export", run, "--to", "snippet")
        assert done.code == 0, done.err
        programs.append(tmp_path / f"{run.name}.py")
        programs[-1].write_text(done.out, encoding="utf-8")
        assert len(done.out.splitlines()) <= 13
    card = (tmp_path / "merged" / "model" / "README.md").read_text(encoding="utf-8")
    assert programs[1].read_text(encoding="utf-8").replace((tmp_path / "merged").as_posix(), "..") in card
    runner = tmp_path / "runner.py"
    runner.write_text(_RUNNER, encoding="utf-8")
    words = [sys.executable, str(runner), TEXT, *map(str, programs)]
    ran = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr
    answers = [answer.removesuffix("\n").removeprefix("\n") for answer in ran.stdout.split("--- end")[:-1]]
    assert answers == [answer_freely(run) for run in runs]


def test_what_cannot_be_exported_says_why(extune: Extune, trained_run: Path, tmp_path: Path) -> None:
    unknown = extune("export", trained_run, "--to", "onnx")
    assert (unknown.code, "unknown target 'onnx'" in unknown.err) == (2, True)
    run = tmp_path / "run"
    run.mkdir()
    (run / "tokenizer").symlink_to(trained_run / "tokenizer")
    contract = read_contract(trained_run)
    for changes, reason in (
        ({"task": {"kind": "classification"}, "format": "choice"}, "every row names for itself"),
        ({"chat_template": "{# extune: contents apart #}"}, "contents apart"),
        ({"weights": "base"}, "no trained weights"),
    ):
        write_contract(run, type(contract).model_validate(contract.model_dump() | changes))
        refused = extune("export", run)
        assert (refused.code, reason in refused.err) == (2, True), refused.err


def test_an_adapter_is_merged_once_and_written_as_gguf(extune: Extune, trained_run: Path, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="the extra gguf is not installed")
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    done = extune("export", run, "--to", "gguf", "--device", "cpu")
    assert done.code == 0, done.err
    assert f"wrote {run / 'exports' / 'gguf'}" in done.out
    assert "U+2581" in done.err
    assert "compared with the run first" in done.err
    again = extune("export", run, "--to", "gguf", "--out", tmp_path / "again", "--dtype", "bfloat16")
    assert (again.code, "compared with the run first" in again.err) == (0, False)
    merged = load_file(run / "variants" / "merged" / "model" / "model.safetensors")
    for folder, dtype in ((run / "exports" / "gguf", torch.float32), (tmp_path / "again", torch.bfloat16)):
        written = {one.name: one for one in gguf.GGUFReader(folder / "model.gguf").tensors}
        found = written["blk.0.ffn_up.weight"]
        values = torch.from_numpy(gguf.quants.dequantize(found.data, found.tensor_type).copy())
        assert torch.equal(values, merged["model.layers.0.mlp.up_proj.weight"].to(dtype).float())
    stale = read_contract(run).model_copy(update={"weights_hash": "other"})
    write_contract(run, stale)
    refused = extune("export", run, "--to", "gguf", "--out", tmp_path / "stale")
    assert (refused.code, "was not merged from the adapter" in refused.err) == (2, True)


def test_what_cannot_become_a_gguf_file_says_why(extune: Extune, trained_run: Path, tmp_path: Path) -> None:
    for words, code, reason in (
        (("--to", "ollama"), 1, "Ollama's engine for qwen3"),
        (("--to", "gguf", "--dtype", "q4_0"), 2, "unknown dtype 'q4_0'"),
        (("--to", "gguf", "--out", tmp_path), 2, "exists already"),
        (("--to", "snippet", "--dtype", "float16"), 2, "has no folder and no dtype"),
    ):
        refused = extune("export", trained_run, *words)
        assert (refused.code, reason in refused.err) == (code, True), refused.err
    assert not (trained_run / "exports").exists()
