"""What vLLM cannot compute is refused with the way on, in any environment; how it uses the machine comes from the recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from extune.engines.vllm_engine import is_installed
from extune.errors import ExtuneError, RecipeError, RunError
from extune.models.base_model import EMBEDDED, hash_base, resolve_base
from extune.predicting.open import load_predictor
from extune.predicting.open_vllm import find_served, read_vllm_section
from extune.recipe.engines import VllmSection
from extune.recipe.load import dump_recipe, load_recipe, recipe_from_values
from extune.runs.contract import Contract, Quantization, write_contract
from extune.stages.predict import open_predictor

TASK = {"kind": "extraction", "types": {"药": ""}}


@pytest.fixture
def contract(make_contract: Callable[..., Contract]) -> Contract:
    return make_contract(base_hash=hash_base(resolve_base(EMBEDDED)), weights="adapter")


def write_adapter(run: Path, **config: Any) -> None:
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "said", "way"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "virtual tokens", "--engine transformers"),
        ({"peft_type": "PROMPT_TUNING"}, "virtual tokens", "--engine transformers"),
        ({"peft_type": "P_TUNING"}, "virtual tokens", "--engine transformers"),
        ({"peft_type": "IA3"}, "ia3", "extune merge"),
        ({"peft_type": "LORA", "r": 8, "use_dora": True}, "DoRA", "extune merge"),
    ],
)
def test_methods_that_vllm_does_not_have_are_refused(
    config: dict[str, Any], said: str, way: str, tmp_path: Path, contract: Contract
) -> None:
    write_adapter(tmp_path, **config)
    with pytest.raises(RunError, match=said) as caught:
        find_served(tmp_path, contract)
    assert way in caught.value.fix


def test_a_base_in_4_bits_is_refused(tmp_path: Path, contract: Contract) -> None:
    write_adapter(tmp_path, peft_type="LORA", r=8)
    quantised = contract.model_copy(update={"quantization": Quantization(type="nf4", double=True)})
    with pytest.raises(RunError, match="nf4"):
        find_served(tmp_path, quantised)


def test_an_adapter_is_served_on_its_base_with_its_largest_rank(tmp_path: Path, contract: Contract) -> None:
    write_adapter(tmp_path, peft_type="LORA", r=8, rank_pattern={"q_proj": 12})
    served = find_served(tmp_path, contract)
    assert (served.model, served.adapter, served.rank) == (resolve_base(EMBEDDED), tmp_path / "adapter", 12)
    assert served.stop_token_ids == contract.stop_token_ids
    assert (served.max_input_tokens, served.max_answer_tokens) == (contract.max_input_tokens, contract.max_answer_tokens)


def test_whole_weights_need_no_base(tmp_path: Path, contract: Contract) -> None:
    whole = contract.model_copy(update={"weights": "model", "base": "no/such/base"})
    (tmp_path / "model").symlink_to(resolve_base(EMBEDDED))
    assert find_served(tmp_path, whole).model == tmp_path / "model"


def test_the_recipe_says_how_the_machine_is_used(tmp_path: Path) -> None:
    assert read_vllm_section(tmp_path) == VllmSection()
    engine = {"kind": "vllm", "tensor_parallel_size": 2, "kv_cache_gib": 1.5}
    recipe = recipe_from_values({"task": TASK, "engine": engine})
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert read_vllm_section(tmp_path) == VllmSection(tensor_parallel_size=2, kv_cache_gib=1.5)
    assert recipe.endpoint is None


def test_a_server_in_the_recipe_is_none_of_vllms(tmp_path: Path) -> None:
    recipe = recipe_from_values({"task": TASK, "engine": {"base_url": "http://localhost:1/v1", "model": "m"}})
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert read_vllm_section(tmp_path) == VllmSection()
    assert recipe.endpoint == recipe.engine


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("engine.kind=tgi", "openai, vllm"),
        ("engine.tensor_parallel=2", "tensor_parallel_size"),
        ("engine.tensor_parallel_size=0", "1"),
    ],
)
def test_mistakes_in_the_section_are_named(override: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("task: {kind: extraction, types: {药: }}\nengine: {kind: vllm}\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, override)
    assert said in caught.value.render()


def test_an_untrained_base_is_not_silently_run_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("task: {kind: extraction, types: {药: }}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="untrained"):
        open_predictor(path, base=EMBEDDED, engine="vllm")


@pytest.mark.skipif(is_installed(), reason="vllm is in this environment")
def test_a_missing_vllm_names_its_installation(tmp_path: Path, contract: Contract) -> None:
    write_contract(tmp_path, contract)
    with pytest.raises(ExtuneError, match="not installed") as caught:
        load_predictor(tmp_path, "vllm")
    assert caught.value.exit_code == 2
    assert "pip install" in caught.value.fix


def test_items_cannot_be_left_out_without_confidences(tmp_path: Path, contract: Contract) -> None:
    write_adapter(tmp_path, peft_type="LORA", r=8)
    with pytest.raises(RunError, match="leaves out items by confidence") as caught:
        find_served(tmp_path, contract.model_copy(update={"min_confidence": 0.1}))
    assert "--engine transformers" in caught.value.fix


@pytest.mark.parametrize(("dtype", "bits", "refused"), [("float32", 4, True), ("bfloat16", 4, False), ("float32", 8, False)])
def test_4_bits_beside_float32_are_refused(dtype: str, bits: int, refused: bool, tmp_path: Path, contract: Contract) -> None:
    model = tmp_path / "model"
    model.mkdir()
    save_file({"one": torch.ones(1)}, model / "model.safetensors")
    group = {"targets": ["Linear"], "weights": {"num_bits": bits}}
    config = {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run = contract.model_copy(update={"weights": "model", "dtype": dtype})
    if not refused:
        assert find_served(tmp_path, run).model == model
        return
    with pytest.raises(RunError, match="4-bit weights") as caught:
        find_served(tmp_path, run)
    assert "--dtype bfloat16" in caught.value.fix
