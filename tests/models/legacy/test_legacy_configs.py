"""Full-size configs map without weights; what only looks like a known checkpoint is refused with what to do instead."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
from tests.models.legacy.made_checkpoints import BAICHUAN_CONFIG, CHATGLM_CONFIG, CONFIGS, QWEN_CONFIG

from extune.errors import ModelError, RecipeError
from extune.models.legacy.plan import native_shapes
from extune.models.legacy.recognise import FAMILIES, choose_family, is_legacy, recognise


def cases(folder: Path, part: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "config_cases.json").read_text(encoding="utf-8"))[part]
    assert len(found) >= 6
    return found


def test_every_released_config_maps_to_the_native_one(golden_folder: Path) -> None:
    for case in cases(golden_folder, "cases"):
        family = choose_family(case["legacy_config"], {})
        native = family.map_config(case["legacy_config"])
        assert native == case["expected_native_config"], case["name"]


def test_every_released_config_has_the_released_number_of_parameters(golden_folder: Path) -> None:
    found = {
        case["name"]: sum(map(prod, native_shapes(case["expected_native_config"]).values()))
        for case in cases(golden_folder, "cases")
    }
    assert found == {case["name"]: case["expected_parameters"] for case in cases(golden_folder, "cases")}


def test_every_look_alike_of_the_list_is_refused(golden_folder: Path) -> None:
    for case in cases(golden_folder, "reject"):
        with pytest.raises(ModelError) as caught:
            choose_family(case["legacy_config"], {})
        assert caught.value.expected, case["name"]
        assert caught.value.fix, case["name"]


@pytest.mark.parametrize("family", CONFIGS)
def test_made_configs_are_recognised(family: str) -> None:
    assert choose_family(CONFIGS[family], {}) is FAMILIES[family]


REFUSED = [
    (BAICHUAN_CONFIG, {"max_position_embeddings": None}, "ALiBi", "Baichuan2-7B"),
    (BAICHUAN_CONFIG, {"hidden_size": 5120, "num_attention_heads": 40}, "ALiBi", "Baichuan2-7B"),
    (BAICHUAN_CONFIG, {"z_loss_weight": None}, "Baichuan-7B or Baichuan2-7B", "--family"),
    (BAICHUAN_CONFIG, {"quantization_config": {"bits": 4}}, "quantised", "unquantised"),
    (BAICHUAN_CONFIG, {"rope_scaling": {"type": "dynamic"}}, "rope_scaling", "config.json"),
    (QWEN_CONFIG, {"quantization_config": {"quant_method": "gptq"}}, "quantised", "unquantised"),
    (QWEN_CONFIG, {"visual": {"layers": 48}}, "Qwen-VL", "text-only"),
    (QWEN_CONFIG, {"use_cache_quantization": True}, "use_cache_quantization", "config.json"),
    (QWEN_CONFIG, {"no_bias": False}, "no_bias is False", "another base"),
    (QWEN_CONFIG, {"rotary_pct": 0.25}, r"rotary_pct is 0\.25", "another base"),
    (QWEN_CONFIG, {"kv_channels": 8}, "kv_channels 8 x 4 heads", "config.json"),
    (QWEN_CONFIG, {"seq_length": None}, "seq_length is missing", "config.json"),
    (QWEN_CONFIG, {"tie_word_embeddings": True}, "tie_word_embeddings is True", "another base"),
    (CHATGLM_CONFIG, {"position_encoding_2d": True}, "first generation", "ChatGLM3-6B"),
    (CHATGLM_CONFIG, {"padded_vocab_size": 151552}, "GLM-4", "glm-4-9b"),
    (CHATGLM_CONFIG, {"quantization_bit": 4}, "quantised", "unquantised"),
    (CHATGLM_CONFIG, {"rope_ratio": 50}, "32k", "without 32k"),
    (CHATGLM_CONFIG, {"pre_seq_len": 128}, "P-Tuning", "--base"),
    (CHATGLM_CONFIG, {"multi_query_attention": False}, "multi_query_attention is False", "another base"),
    (CHATGLM_CONFIG, {"rmsnorm": False}, "rmsnorm is False", "another base"),
    (CHATGLM_CONFIG, {"_name_or_path": "my/model"}, "ChatGLM2-6B or ChatGLM3-6B", "--family"),
    (CHATGLM_CONFIG, {"model_type": "qwen2"}, "model_type is 'qwen2'", "as it is"),
]


@pytest.mark.parametrize(("config", "changes", "reason", "fix"), REFUSED)
def test_a_look_alike_is_refused_with_a_reason(config: dict[str, Any], changes: dict[str, Any], reason: str, fix: str) -> None:
    changed = {key: value for key, value in {**config, **changes}.items() if value is not None}
    with pytest.raises(ModelError, match=reason) as caught:
        choose_family(changed, {})
    assert fix in caught.value.fix
    assert caught.value.where
    assert caught.value.expected


def test_the_family_can_be_named_where_the_config_does_not_tell() -> None:
    fine_tuned = CHATGLM_CONFIG | {"_name_or_path": "output/checkpoint-1000"}
    assert choose_family(fine_tuned, {}, "chatglm2") is FAMILIES["chatglm2"]
    assert choose_family(fine_tuned, {"name_or_path": "THUDM/chatglm2-6b"}) is FAMILIES["chatglm2"]
    old = {key: value for key, value in BAICHUAN_CONFIG.items() if key != "z_loss_weight"}
    assert choose_family(old, {}, "baichuan2") is FAMILIES["baichuan2"]
    assert choose_family(old | {"architectures": ["BaiChuanForCausalLM"]}, {}) is FAMILIES["baichuan1"]
    with pytest.raises(RecipeError, match="contradicts"):
        choose_family(fine_tuned, {}, "qwen1")
    with pytest.raises(RecipeError, match="unknown family"):
        choose_family(fine_tuned, {}, "chatglm4")


def test_other_folders_are_not_legacy(tmp_path: Path) -> None:
    assert not is_legacy(tmp_path)
    for text in ("not json", "[]", json.dumps({"model_type": "llama"})):
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        assert not is_legacy(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="no JSON object"):
        recognise(tmp_path)
