"""What was trained comes back exactly; a run never names this machine and never loads what it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.errors import ExtuneError, ModelError, RecipeError, RunError
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, hash_base, load_base, resolve_base
from extune.models.checkpoint import load_run_tokenizer, load_weights, save_tokenizer, save_weights
from extune.models.quantize import quantization_of
from extune.recipe.adapters import METHODS, FullAdapter, LoraAdapter
from extune.runs.contract import Contract

IDS = torch.tensor([[1, 300, 400, 500, 2]])


def fresh_base() -> PreTrainedModel:
    return load_base(resolve_base(EMBEDDED), "float32", "cpu")


def train_a_little(method: str) -> PreTrainedModel | PeftModel:
    """A model whose trainable weights differ from the base's."""
    if method == "qlora":
        pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    torch.manual_seed(0)
    section = METHODS[method](method=method)
    quantization = quantization_of(section)
    model = add_adapter(load_base(resolve_base(EMBEDDED), "float32", "cpu", quantization), section)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    return model.eval()


def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    with torch.no_grad():
        return torch.as_tensor(model(IDS).logits)


@pytest.fixture
def run_contract(make_contract: Callable[..., Contract]) -> Contract:
    return make_contract(base_hash=hash_base(resolve_base(EMBEDDED)))


@pytest.mark.parametrize("method", METHODS)
def test_trained_weights_come_back(method: str, tmp_path: Path, run_contract: Contract) -> None:
    model = train_a_little(method)
    weights = save_weights(model, tmp_path)
    assert weights == ("model" if METHODS[method].writes_model else "adapter")
    quantization = quantization_of(METHODS[method](method=method))
    contract = run_contract.model_copy(update={"weights": weights, "quantization": quantization})
    again = load_weights(tmp_path, contract, "cpu")
    assert not again.training
    assert torch.equal(logits(again), logits(model))
    assert not torch.equal(logits(again), logits(fresh_base()))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_no_saved_text_names_this_machine(method: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    save_weights(train_a_little(method), tmp_path)
    save_tokenizer(tokenizer, tmp_path)
    texts = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".jinja", ".md")]
    assert texts
    for path in texts:
        assert str(resolve_base(EMBEDDED)) not in path.read_text(encoding="utf-8"), path
    if method == "lora":
        config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
        assert config["base_model_name_or_path"] == EMBEDDED


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    model = train_a_little("lora")
    save_weights(model, tmp_path)
    save_weights(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_only_lora_weights_are_trainable_and_they_are_float32() -> None:
    model = add_adapter(load_base(resolve_base(EMBEDDED), "bfloat16", "cpu"), LoraAdapter(r=4))
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable
    assert all("lora_" in name and parameter.dtype == torch.float32 for name, parameter in trainable.items())
    full = add_adapter(fresh_base(), FullAdapter())
    assert all(parameter.requires_grad for parameter in full.parameters())


def test_unknown_target_modules_list_what_there_is() -> None:
    with pytest.raises(RecipeError, match="match nothing") as caught:
        add_adapter(fresh_base(), LoraAdapter(target_modules=("query",)))
    assert "q_proj" in caught.value.expected


def expect_error(error: type[ExtuneError], run: Path, contract: Contract) -> None:
    with pytest.raises(error) as caught:
        load_weights(run, contract, "cpu")
    assert caught.value.where
    assert caught.value.expected
    assert caught.value.fix


def test_missing_and_corrupted_adapters(tmp_path: Path, run_contract: Contract) -> None:
    contract = run_contract.model_copy(update={"weights": "adapter"})
    expect_error(RunError, tmp_path, contract)
    expect_error(RunError, tmp_path, contract.model_copy(update={"weights": "model"}))
    save_weights(train_a_little("lora"), tmp_path)
    config, weights = tmp_path / "adapter" / "adapter_config.json", tmp_path / "adapter" / "adapter_model.safetensors"
    intact = weights.read_bytes()
    weights.write_bytes(intact[:-100])
    expect_error(RunError, tmp_path, contract)
    weights.write_bytes(intact)
    config.write_text("{", encoding="utf-8")
    expect_error(RunError, tmp_path, contract)
    config.unlink()
    expect_error(RunError, tmp_path, contract)


def test_an_adapter_of_another_shape(tmp_path: Path, run_contract: Contract) -> None:
    save_weights(train_a_little("lora"), tmp_path)
    config = tmp_path / "adapter" / "adapter_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(settings | {"r": 8}), encoding="utf-8")
    expect_error(RunError, tmp_path, run_contract.model_copy(update={"weights": "adapter"}))


def test_another_base_than_the_contracts(tmp_path: Path, run_contract: Contract) -> None:
    expect_error(ModelError, tmp_path, run_contract.model_copy(update={"base_hash": "0" * 64}))


def test_the_tokenizer_of_a_run(tmp_path: Path, run_contract: Contract, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(RunError, match="tokenizer/ is missing"):
        load_run_tokenizer(tmp_path, run_contract)
    save_tokenizer(tokenizer, tmp_path)
    assert load_run_tokenizer(tmp_path, run_contract).get_vocab() == tokenizer.get_vocab()
    with pytest.raises(RunError, match="not the one"):
        load_run_tokenizer(tmp_path, run_contract.model_copy(update={"tokenizer_hash": "0" * 64}))
