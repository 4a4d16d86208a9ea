"""A run predicts wherever it is copied, like the model in memory did, and refuses what it was not made with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.errors import ModelError, RecipeError, RunError
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, hash_base, load_base, resolve_base
from extune.models.checkpoint import save_tokenizer, save_weights
from extune.predicting.open import build_predictor, load_predictor, open_base
from extune.recipe.adapters import LoraAdapter
from extune.runs.contract import Contract, write_contract

EXAMPLES = [Example("a", "黄芪30克，补气固表。"), Example("b", "当归"), Example("c", "患者咳嗽三天，予桂枝汤。")]


@pytest.fixture(scope="module")
def trained() -> PreTrainedModel:
    torch.manual_seed(0)
    model = add_adapter(load_base(resolve_base(EMBEDDED), "float32", "cpu"), LoraAdapter(r=4))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


@pytest.fixture
def contract(make_contract: Callable[..., Contract]) -> Contract:
    return make_contract(base_hash=hash_base(resolve_base(EMBEDDED)), weights="adapter", max_answer_tokens=24)


@pytest.fixture
def run(tmp_path: Path, trained: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract) -> Path:
    folder = tmp_path / "run"
    save_weights(trained, folder)
    save_tokenizer(tokenizer, folder)
    write_contract(folder, contract)
    return folder


def test_a_copied_run_predicts_like_the_model_in_memory(
    run: Path, tmp_path: Path, trained: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract
) -> None:
    copied = run.rename(tmp_path / "elsewhere")
    in_memory = build_predictor(trained, tokenizer, contract)
    assert list(load_predictor(copied, device="cpu").predict_many(EXAMPLES)) == list(in_memory.predict_many(EXAMPLES))


@pytest.mark.parametrize(("budget", "most", "where"), [(1, None, "prompt.max_answer_tokens"), (24, 1, "--max-new-tokens")])
def test_a_budget_that_holds_no_answer_is_refused(
    budget: int,
    most: int | None,
    where: str,
    trained: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contract: Contract,
) -> None:
    small, options = contract.model_copy(update={"max_answer_tokens": budget}), DecodingOptions(max_new_tokens=most)
    with pytest.raises(RecipeError, match="'无', has 2") as caught:
        build_predictor(trained, tokenizer, small, options)
    assert caught.value.where == where
    build_predictor(trained, tokenizer, small.model_copy(update={"constrain": False}), options)
    build_predictor(trained, tokenizer, small.model_copy(update={"max_answer_tokens": 2}))


def test_one_at_a_time_equals_many_at_once(run: Path) -> None:
    predictor = load_predictor(run, device="cpu")
    together = [prediction.annotation for prediction in predictor.predict_many(EXAMPLES)]
    assert together == [predictor.predict(example.text) for example in EXAMPLES]


def test_an_untrained_base_opens_without_a_run(contract: Contract) -> None:
    assert len(list(open_base(contract, "cpu").predict_many(EXAMPLES))) == len(EXAMPLES)


@pytest.mark.parametrize("missing", ["contract.json", "adapter", "tokenizer", "adapter/adapter_model.safetensors"])
def test_a_missing_part_is_named(missing: str, run: Path) -> None:
    part = run / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(RunError) as caught:
        load_predictor(run, device="cpu")
    assert caught.value.exit_code == 2
    assert caught.value.where
    assert caught.value.expected
    assert caught.value.fix


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt_version": 999}, RunError),
        ({"format_version": 999}, RunError),
        ({"base_hash": "0" * 64}, ModelError),
        ({"tokenizer_hash": "0" * 64}, RunError),
        ({"base": "no/such/folder"}, RecipeError),
    ],
)
def test_a_foreign_contract_is_refused(
    changes: dict[str, object], error: type[Exception], run: Path, contract: Contract
) -> None:
    write_contract(run, contract.model_copy(update=changes))
    with pytest.raises(error):
        load_predictor(run, device="cpu")


def test_unknown_engines_and_devices(run: Path) -> None:
    with pytest.raises(RecipeError, match="engine"):
        load_predictor(run, engine="llama")
    with pytest.raises(RecipeError, match="device"):
        load_predictor(run, device="abacus")
