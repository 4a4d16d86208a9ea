"""The recipes of legacy bases, with their methods as they are shipped, on tiny checkpoints in the layout of those bases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from extune.domain.annotation import Annotation, Extraction, Fields, Span
from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.predicting.open import load_predictor
from extune.recipe.load import load_recipe
from extune.runs.contract import Quantization, read_contract
from extune.stages.import_base import import_base
from extune.stages.train import train

SHORT = ("training.max_steps=2", "training.gradient_accumulation_steps=1", "training.logging_steps=1")
NEWS = "王明昨日抵达上海。"
HERBS = "黄芪30克，补气固表。"
DIALOGUE = "医生：孩子怎么了？患者：咳嗽三天，吃了小儿止咳糖浆。"
EMPTY = dict.fromkeys(("药物类别", "医疗检查", "医疗操作"), ())
CASES: dict[str, tuple[str, str, Annotation, tuple[str, ...]]] = {
    # recipe: the fixture, a text with its gold, and budgets in the fixture's small tokens
    "medical-dialogue": (
        "qwen1",
        DIALOGUE,
        Fields({"药品名称": ("小儿止咳糖浆",), **EMPTY, "现病史": "咳嗽三天", "辅助检查": "", "诊断结果": "", "医疗建议": ""}),
        ("prompt.max_input_tokens=4000",),
    ),
    "msra-ner": (
        "baichuan1",
        NEWS,
        Extraction((Span("PER", "王明", 0, 2), Span("LOC", "上海", 6, 8))),
        ("prompt.max_input_tokens=1024",),
    ),
    "tcm-ner-ptuning": (
        "chatglm3",
        HERBS,
        Extraction((Span("中药", "黄芪", 0, 2), Span("中医治则", "补气固表", 6, 10))),
        ("prompt.max_input_tokens=2048",),
    ),
}


@pytest.fixture(scope="module")
def golden_folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "legacy"
    if not folder.is_dir():
        pytest.skip("the golden legacy checkpoints (../shared/fixtures/legacy) are not here")
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_recipe_trains_by_its_own_method_and_predicts(name: str, golden_folder: Path, tmp_path: Path) -> None:
    family, text, gold, budgets = CASES[name]
    base, run = tmp_path / family, tmp_path / "run"
    import_base(golden_folder / family / "checkpoint_bin", base)
    recipe = load_recipe(name, f"base.model={base}", *SHORT, *budgets)
    shipped = load_recipe(name)
    assert recipe.adapter == shipped.adapter
    train(recipe, run, train=[Example(str(number), text, gold) for number in range(4)])

    contract = read_contract(run)
    assert contract.weights == "adapter"
    is_qlora = recipe.adapter.method == "qlora"
    assert contract.quantization == (Quantization(type="nf4", double=True) if is_qlora else None)
    losses = [json.loads(line).get("loss") for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(loss is not None and loss > 0 for loss in losses) >= 2
    trained = load_file(run / "adapter" / "adapter_model.safetensors")
    if is_qlora:
        assert all(tensor.abs().max() > 0 for key, tensor in trained.items() if "lora_B" in key)
        assert sum("lora_A" in key for key in trained) == 2 * 7  # all linears of both layers, the fused ones split
    else:
        assert trained["prompt_embeddings"].shape[0] == 1024

    predictor = load_predictor(run, device="cpu", options=DecodingOptions(max_new_tokens=8))
    (prediction,) = predictor.predict_many([Example("new", text)])
    assert prediction.completion
    if isinstance(prediction.annotation, Extraction):
        assert all(text[span.start : span.end] == span.text for span in prediction.annotation.spans)
