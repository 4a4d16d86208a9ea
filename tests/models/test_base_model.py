"""Bases are found, checked before use and hashed; whatever is wrong with one is a four-part error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.errors import ExtuneError, ModelError, RecipeError
from extune.models.base_model import (
    EMBEDDED,
    choose_device,
    choose_dtype,
    hash_base,
    hash_tokenizer,
    load_base,
    load_tokenizer,
    resolve_base,
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded base that a test may break."""
    return Path(shutil.copytree(resolve_base(EMBEDDED), tmp_path / "base"))


def require_four_parts(error: ExtuneError) -> None:
    assert error.what
    assert error.where
    assert error.expected
    assert error.fix


def test_a_missing_base_is_a_recipe_error(tmp_path: Path) -> None:
    for name in (str(tmp_path / "nowhere"), "some-owner/some-model"):
        with pytest.raises(RecipeError, match="not a folder here") as caught:
            resolve_base(name)
        require_four_parts(caught.value)


def test_a_folder_without_config(copy: Path) -> None:
    (copy / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing") as caught:
        load_base(copy, "float32", "cpu")
    require_four_parts(caught.value)


def test_pickled_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    for use in (lambda: load_base(copy, "float32", "cpu"), lambda: hash_base(copy)):
        with pytest.raises(ModelError, match=r"no safetensors files, found pytorch_model\.bin") as caught:
            use()
        require_four_parts(caught.value)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_from_a_model_folder_is_refused(name: str, copy: Path) -> None:
    settings = json.loads((copy / name).read_text(encoding="utf-8"))
    (copy / name).write_text(json.dumps(settings | {"auto_map": {"AutoConfig": "code.Config"}}), encoding="utf-8")
    with pytest.raises(ModelError, match="auto_map") as caught:
        (load_tokenizer(copy), load_base(copy, "float32", "cpu"))
    require_four_parts(caught.value)


def test_corrupted_weights_name_the_file(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="corrupted") as caught:
        load_base(copy, "float32", "cpu")
    assert caught.value.where == str(weights)
    require_four_parts(caught.value)


@pytest.mark.parametrize("content", ["{", '{"model_type": "no such architecture"}'])
def test_an_unusable_config(content: str, copy: Path) -> None:
    (copy / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_base(copy, "float32", "cpu")
    require_four_parts(caught.value)


@pytest.mark.parametrize("content", [None, "{", '{"model": {}}'])
def test_an_unusable_tokenizer(content: str | None, copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    if content is not None:
        (copy / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_tokenizer(copy)
    require_four_parts(caught.value)


def test_the_hash_of_a_base_follows_its_bytes_not_its_place(copy: Path) -> None:
    assert hash_base(copy) == hash_base(resolve_base(EMBEDDED))
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert hash_base(copy) != hash_base(resolve_base(EMBEDDED))


def test_the_hash_of_a_tokenizer_survives_saving_and_use(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    before = hash_tokenizer(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert hash_tokenizer(again) == before
    again(["黄芪", "无效"], padding=True, truncation=True, max_length=4)
    assert hash_tokenizer(again) == before
    again.add_tokens(["黄芪"])
    assert hash_tokenizer(again) != before


def test_loading_gives_the_dtype_that_was_asked_for(base_model: PreTrainedModel) -> None:
    assert base_model.dtype == torch.float32
    assert not base_model.training
    assert load_base(resolve_base(EMBEDDED), "bfloat16", "cpu").dtype == torch.bfloat16
    assert load_base(resolve_base(EMBEDDED), "auto", "cpu").dtype == torch.float32


def test_devices() -> None:
    assert choose_device(None) in ("cuda", "mps", "cpu")
    assert choose_device("cpu") == "cpu"
    for wrong in ("tpu", "cuda:99", "cpu:x"):
        with pytest.raises(RecipeError) as caught:
            choose_device(wrong)
        require_four_parts(caught.value)


def test_dtypes() -> None:
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("bfloat16", "cpu") == "bfloat16"
