"""One tiny random model of each family of bases learns with LoRA, is read again and answers within the grammar."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.models.base_model import EMBEDDED, load_tokenizer, resolve_base
from extune.predicting.open import load_predictor
from extune.recipe.load import recipe_from_values
from extune.runs.contract import read_contract
from extune.stages.train import train

SMALL: dict[str, Any] = {
    "vocab_size": 7168, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 1024, "bos_token_id": None, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "mistral": {"model_type": "mistral"},  # its layers see a window, so nothing is packed
    "qwen2": {"model_type": "qwen2", "head_dim": None},
    "qwen3": {"model_type": "qwen3"},
    "yi": {"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 5e6}, "num_key_value_heads": 1},
    "glm": {"model_type": "glm", "attention_bias": True},
    "gemma": {"model_type": "gemma"},
    "phi": {"model_type": "phi", "head_dim": None},
    "phi3": {"model_type": "phi3", "head_dim": None},
    "qwen3-moe": {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
}
TEXT = "患者头痛三日，服黄芪。"


def build_base(folder: Path, settings: dict[str, Any]) -> Path:
    """A random model with the tokenizer of the embedded base."""
    entries = {key: value for key, value in (SMALL | settings).items() if value is not None or key == "bos_token_id"}
    torch.manual_seed(17)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(entries.pop("model_type"), **entries))
    model.save_pretrained(folder)
    for path in resolve_base(EMBEDDED).glob("*token*"):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(resolve_base(EMBEDDED) / "chat_template.jinja", folder / "chat_template.jinja")
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_answers(family: str, tmp_path: Path) -> None:
    base, run = build_base(tmp_path / family, FAMILIES[family]), tmp_path / "run"
    gold = Extraction((Span("症", "头痛", 2, 4), Span("药", "黄芪", 8, 10)))
    values: dict[str, Any] = {
        "task": {"kind": "extraction", "types": {"药": "药材", "症": ""}},
        "base": {"model": str(base), "dtype": "float32"},
        "prompt": {"max_answer_tokens": 24},
        "adapter": {"method": "lora", "r": 8, "lora_dropout": 0.0},
        "training": {"max_steps": 3, "learning_rate": 2e-2, "lr_scheduler_type": "constant", "warmup_ratio": 0,
                     "per_device_train_batch_size": 2, "logging_steps": 1},
    }  # fmt: skip
    train(recipe_from_values(values), run, train=[Example(str(number), TEXT, gold) for number in range(2)])

    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    trained = load_file(run / "adapter" / "adapter_model.safetensors")
    assert all(tensor.abs().max() > 0 for name, tensor in trained.items() if "lora_B" in name)
    assert read_contract(run).base == str(base)

    predictor = load_predictor(run, device="cpu", options=DecodingOptions(max_new_tokens=12))
    prediction = predictor.predict(TEXT)
    assert prediction.completion.text.startswith(("药：", "症：", "无"))
    assert all(TEXT[span.start : span.end] == span.text for span in prediction.spans)
    assert prediction == load_predictor(run, device="cpu", options=DecodingOptions(max_new_tokens=12)).predict(TEXT)
    assert len(load_tokenizer(base)) <= SMALL["vocab_size"]
