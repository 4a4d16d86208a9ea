"""A run with whole weights as a folder for llama.cpp and Ollama."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.models.gguf.made_tokenizers import CUTS, byte_level, pieces
from tests.models.tiny_bases import FAMILIES, SMALL
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from extune.domain.task import ExtractionTask
from extune.errors import ModelError, RunError
from extune.models.base_model import load_tokenizer
from extune.models.checkpoint import hash_weights, save_tokenizer, save_weights
from extune.predicting.draft import draft_contract
from extune.recipe.sections import Recipe
from extune.runs.contract import write_contract
from extune.runs.run_dir import RunDir
from extune.stages.export import export_folder

gguf = pytest.importorskip("gguf", reason="the extra gguf is not installed")


def make_run(run: Path, family: str, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A finished run of method `full`, random weights."""
    entries = SMALL | {"vocab_size": 400, "sliding_window": None, "max_position_embeddings": 2048} | FAMILIES[family]
    config = AutoConfig.for_model(**{key: value for key, value in entries.items() if value is not None or key != "head_dim"})
    torch.manual_seed(5)
    save_weights(AutoModelForCausalLM.from_config(config), run)
    save_tokenizer(tokenizer, run)
    recipe = Recipe(task=ExtractionTask(types={"药": "单味药材", "症": ""})).model_copy(update={"name": "tiny"})
    contract = draft_contract(recipe, run / "model", load_tokenizer(run / "tokenizer"), dtype="float32")
    small = {"max_input_tokens": 300, "max_answer_tokens": 40, "weights": "model", "weights_hash": hash_weights(run, "model")}
    write_contract(run, contract.model_copy(update=small))
    return run


def never(run: Path) -> RunDir:
    raise AssertionError(f"{run} was merged")


def test_a_folder_for_ollama(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "llama", pieces("first"))
    made = export_folder(run, "ollama", never, dtype="float16")
    assert made.path == run / "exports" / "ollama"
    assert sorted(path.name for path in made.path.iterdir()) == ["Modelfile", "model.gguf", "prompt.json", "request.json"]
    assert made.bytes == (made.path / "model.gguf").stat().st_size
    reader = gguf.GGUFReader(made.path / "model.gguf")
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    prompt = json.loads((made.path / "prompt.json").read_text(encoding="utf-8"))
    read = "".join(tokens[number] for number in prompt["example"]["prompt_token_ids"]).replace("▁", " ")
    assert read.startswith("<|im_start|>user<0x0A>")
    assert [tokens[number] for number in prompt["stop_token_ids"]] == prompt["stop"]
    with pytest.raises(RunError, match="exists already"):
        export_folder(run, "ollama", never)


def test_ollama_would_cut_a_qwen3_model_as_qwen_does(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "qwen3", pieces("replaced"))
    with pytest.raises(ModelError, match="cuts every text as Qwen") as caught:
        export_folder(run, "ollama", never)
    assert "--to gguf" in caught.value.fix
    assert not (run / "exports").exists()
    made = export_folder(run, "gguf", never, out=tmp_path / "out")
    assert made.dtype == "float32"
    assert sorted(path.name for path in made.path.iterdir()) == ["model.gguf", "prompt.json", "request.json"]
    own = make_run(tmp_path / "own", "qwen3", byte_level(CUTS["qwen2"][0]))
    assert (export_folder(own, "ollama", never).path / "Modelfile").is_file()


def test_a_run_whose_weights_were_replaced_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "llama", pieces("replaced"))
    other = make_run(tmp_path / "other", "qwen3", pieces("replaced"))
    (other / "model" / "model.safetensors").replace(run / "model" / "model.safetensors")
    with pytest.raises(RunError, match="not those that the training wrote"):
        export_folder(run, "gguf", never)
    assert list((run / "exports").iterdir()) == []
