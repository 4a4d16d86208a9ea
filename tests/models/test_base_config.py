"""A base's config is found without its weights, and nothing of a stranger's is run for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.errors import ModelError, RecipeError
from extune.models.base_config import find_config


def write(folder: Path, **values: object) -> Path:
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_the_embedded_base() -> None:
    found = find_config("embedded")
    assert found.folder is not None
    assert found.config.hidden_size == json.loads((found.folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]


def test_a_folder_needs_no_weights(tmp_path: Path) -> None:
    found = find_config(str(write(tmp_path, model_type="llama", hidden_size=64)))
    assert (found.config.hidden_size, found.folder) == (64, tmp_path)


def test_a_legacy_folder_is_read_as_what_it_becomes(shared_data: Path, tmp_path: Path) -> None:
    cases = json.loads((shared_data.parent / "fixtures" / "legacy" / "config_cases.json").read_text(encoding="utf-8"))["cases"]
    (legacy,) = (case["legacy_config"] for case in cases if case["name"] == "qwen-1_8b-chat")
    local = find_config(str(write(tmp_path, **legacy))).config
    published = find_config("hf:Qwen/Qwen-1_8B-Chat").config
    for key in ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads", "vocab_size"):
        assert getattr(local, key) == getattr(published, key)


@pytest.mark.parametrize("name", ["hf:nobody/nothing", "modelscope:nobody/nothing"])
def test_an_unknown_model_of_a_hub_says_what_to_do(name: str) -> None:
    with pytest.raises(RecipeError, match="qwen/qwen2-7b") as caught:
        find_config(name)
    assert "base.model=FOLDER" in str(caught.value)


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"config\.json"):
        find_config(str(tmp_path))


def test_code_of_a_stranger_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, model_type="llama", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(ModelError, match="auto_map"):
        find_config(str(folder))


def test_numbers_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config cannot be used"):
        find_config(str(write(tmp_path, model_type="llama", hidden_size=48, num_attention_heads=32)))


def test_an_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="architecture"):
        find_config(str(write(tmp_path, model_type="nothing-like-it")))
