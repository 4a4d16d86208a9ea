"""The memory tables of the pages: the formulas give what is published and what the code really holds."""

from __future__ import annotations

import json

import pytest
from benchmarks.base_memory import PAGES, SHAPES, Shape, update

from extune.models.adapters import add_adapter
from extune.models.base_model import load_base, resolve_base
from extune.recipe.adapters import LoraAdapter
from extune.runs.contract import Quantization

NAMED = {shape.name: shape for shape in SHAPES}


def embedded() -> Shape:
    config = json.loads((resolve_base("embedded") / "config.json").read_text(encoding="utf-8"))
    sizes = ("hidden_layers", "attention_heads", "key_value_heads")
    layers, heads, kv_heads = (config[f"num_{name}"] for name in sizes)
    widths = (config["hidden_size"], config["intermediate_size"], heads, kv_heads, config["head_dim"], config["vocab_size"])
    return Shape("embedded", layers, *widths, tied=config["tie_word_embeddings"], head_norms=True)


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_made_from_the_shapes(page: str) -> None:
    before, after = update(page)
    assert before == after, "run python -m benchmarks.base_memory"


@pytest.mark.parametrize(
    ("name", "published"),
    [  # exact totals of checkpoints, then what announcements and model cards say, in billions
        ("Qwen-1.8B", 1_836_828_672),
        ("Baichuan-7B", 7_000_559_616),
        ("Baichuan2-7B", 7_505_973_248),
        ("ChatGLM3-6B", 6_243_584_000),
        ("Qwen2.5-0.5B", 0.49),
        ("Qwen2.5-1.5B", 1.54),
        ("Qwen2.5-7B", 7.61),
        ("Llama-3.2-1B", 1.23),
        ("Llama-3.2-3B", 3.21),
    ],
)
def test_parameters_are_as_published(name: str, published: float) -> None:
    if isinstance(published, int):
        assert NAMED[name].parameters == published
    else:
        assert NAMED[name].parameters / 1e9 == pytest.approx(published, abs=0.01)


def test_parameters_and_adapter_are_those_of_a_loaded_model() -> None:
    model = load_base(resolve_base("embedded"), "float32", "cpu")
    assert sum(weight.numel() for weight in model.parameters()) == embedded().parameters
    adapted = add_adapter(model, LoraAdapter(r=16))
    assert sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad) == embedded().lora(16)


def test_nf4_takes_the_bytes_that_the_formula_says() -> None:
    model = load_base(resolve_base("embedded"), "bfloat16", "cpu", Quantization(type="nf4", double=True))
    states = [weight.quant_state for weight in model.parameters() if hasattr(weight, "quant_state")]
    scales = [scale for state in states for scale in (state.absmax, state.state2.absmax)]
    assert states
    assert sum(one.numel() * one.element_size() for one in [*model.parameters(), *scales]) == embedded().nf4_bytes
