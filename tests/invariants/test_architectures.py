"""One tiny random model of each family of bases learns with LoRA, is read again and answers within the grammar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.models.tiny_bases import FAMILIES, SMALL, build_base

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.engines.engine import DecodingOptions
from extune.models.base_model import load_tokenizer
from extune.predicting.open import load_predictor
from extune.recipe.load import recipe_from_values
from extune.runs.contract import read_contract
from extune.stages.train import train

TEXT = "患者头痛三日，服黄芪。"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_answers(family: str, tmp_path: Path) -> None:
    base, run = build_base(tmp_path / family, family), tmp_path / "run"
    gold = Extraction((Span("症", "头痛", 2, 4), Span("药", "黄芪", 8, 10)))
    values: dict[str, Any] = {
        "task": {"kind": "extraction", "types": {"药": "药材", "症": ""}},
        "base": {"model": str(base), "dtype": "float32"},
        "prompt": {"max_input_tokens": 900, "max_answer_tokens": 64},
        "adapter": {"method": "lora", "r": 8, "lora_dropout": 0.0},
        "training": {"max_steps": 3, "learning_rate": 2e-3, "lr_scheduler_type": "constant", "warmup_ratio": 0,
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

    first, second = (predict(run) for _ in range(2))
    assert first == second
    assert first.completion.startswith(("药：", "症：", "无"))
    assert isinstance(first.annotation, Extraction)
    assert all(TEXT[span.start : span.end] == span.text for span in first.annotation.spans)
    assert len(load_tokenizer(base)) <= SMALL["vocab_size"]


def predict(run: Path) -> Prediction:
    predictor = load_predictor(run, device="cpu", options=DecodingOptions(max_new_tokens=12))
    (prediction,) = predictor.predict_many([Example("1", TEXT)])
    return prediction
