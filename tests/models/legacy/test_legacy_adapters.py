"""Adapters of legacy modules give the same product on native ones; prefixes give the same logits with PEFT's own positions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tests.models.legacy.golden_models import TOLERANCE, Converted, Golden, deviation, load_strictly
from tests.models.legacy.made_checkpoints import GROUPS, HEADS, HIDDEN, LAYERS, WIDTH, write_checkpoint, write_json

from extune.errors import ModelError
from extune.models.adapters import load_adapter
from extune.models.base_model import load_base
from extune.models.legacy.adapters import convert_adapter
from extune.models.legacy.convert import convert_base
from extune.models.legacy.prefix import convert_prefix

RANK = 3
ROWS = {"qwen1": 3 * HIDDEN, "chatglm3": (HEADS + 2 * GROUPS) * WIDTH}
FUSED = {
    "qwen1": "transformer.h.{}.attn.c_attn",
    "chatglm3": "transformer.encoder.layers.{}.self_attention.query_key_value",
}


@pytest.mark.parametrize("family", ["qwen1", "baichuan1"])
def test_a_golden_lora_adapter_gives_the_originals_logits(
    family: str, converted: Converted, golden: Golden, golden_folder: Path, tmp_path: Path
) -> None:
    source, base = golden_folder / family / "lora_adapter_legacy", converted(family)
    assert convert_adapter(source, base, tmp_path / "native") > 0
    model = load_adapter(load_strictly(base), tmp_path / "native").eval()
    logits = golden(family, "golden_logits.safetensors") | golden(family, "lora_adapter_legacy/golden_logits.safetensors")
    for case in ("single", "long"):
        assert deviation(model, logits, case) < TOLERANCE
    with model.disable_adapter():
        assert deviation(model, logits, "single") > 100 * TOLERANCE


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    for family in FUSED:
        convert_base(write_checkpoint(folder / f"legacy-{family}", family), folder / family)
    return {family: folder / family for family in FUSED}


def write_adapter(folder: Path, tensors: dict[str, torch.Tensor], **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 6, "lora_dropout": 0.1, "bias": "none",
        "target_modules": ["c_attn"], "modules_to_save": None, "inference_mode": True, "fan_in_fan_out": False,
    }  # fmt: skip
    write_json(folder / "adapter_config.json", config | changes)
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def fused_adapter(family: str, layers: tuple[int, ...] = (0, 1)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        f"base_model.model.{FUSED[family].format(layer)}.{kind}.weight": torch.randn(shape, generator=generator)
        for layer in layers
        for kind, shape in (("lora_A", (RANK, HIDDEN)), ("lora_B", (ROWS[family], RANK)))
    }


@pytest.mark.parametrize("family", FUSED)
def test_parts_of_a_fused_adapter_are_the_rows_of_its_product(family: str, bases: dict[str, Path], tmp_path: Path) -> None:
    tensors = fused_adapter(family)
    convert_adapter(write_adapter(tmp_path / "legacy", tensors), bases[family], tmp_path / "native")
    native = load_file(tmp_path / "native" / "adapter_model.safetensors")
    for layer in range(LAYERS):
        down, up = (tensors[f"base_model.model.{FUSED[family].format(layer)}.lora_{kind}.weight"] for kind in "AB")
        at = f"base_model.model.model.layers.{layer}.self_attn"
        products = [native[f"{at}.{part}_proj.lora_B.weight"] @ native[f"{at}.{part}_proj.lora_A.weight"] for part in "qkv"]
        assert torch.allclose(torch.cat(products), up @ down)
    config = json.loads((tmp_path / "native" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["target_modules"] == ["k_proj", "q_proj", "v_proj"]
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (RANK, 6, 0.1)


def merged(folder: Path, base: Path) -> dict[str, torch.Tensor]:
    model = load_adapter(load_base(base, "float32", "cpu"), folder)
    assert isinstance(model, PeftModel)
    result: dict[str, torch.Tensor] = model.merge_and_unload().state_dict()
    return result


def test_an_adapter_on_some_layers_touches_only_them(bases: dict[str, Path], tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "legacy", fused_adapter("qwen1", (1,)), layers_to_transform=[1])
    convert_adapter(source, bases["qwen1"], tmp_path / "native")
    plain, adapted = load_base(bases["qwen1"], "float32", "cpu").state_dict(), merged(tmp_path / "native", bases["qwen1"])
    changed = {name for name, tensor in plain.items() if not torch.equal(tensor, adapted[name])}
    assert changed == {f"model.layers.1.self_attn.{part}_proj.weight" for part in "qkv"}


def test_one_legacy_name_may_be_two_native_ones(bases: dict[str, Path], tmp_path: Path) -> None:
    """LoRA on `c_proj` means the output projections of attention and of the MLP."""
    sizes = {"attn.c_proj": (HIDDEN, HIDDEN), "mlp.c_proj": (HIDDEN, 24), "mlp.w1": (24, HIDDEN), "mlp.w2": (24, HIDDEN)}
    tensors = {}
    for layer in range(LAYERS):
        for module, (rows, columns) in sizes.items():
            at = f"base_model.model.transformer.h.{layer}.{module}"
            tensors |= {f"{at}.lora_A.weight": torch.randn(RANK, columns), f"{at}.lora_B.weight": torch.randn(rows, RANK)}
    convert_adapter(write_adapter(tmp_path / "legacy", tensors), bases["qwen1"], tmp_path / "native")
    config = json.loads((tmp_path / "native" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["target_modules"] == ["down_proj", "gate_proj", "o_proj", "up_proj"]
    up = load_file(tmp_path / "native" / "adapter_model.safetensors")[
        "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"
    ]
    assert torch.equal(up, tensors["base_model.model.transformer.h.0.mlp.w1.lora_B.weight"])


def test_modules_that_were_trained_whole_come_along(bases: dict[str, Path], tmp_path: Path) -> None:
    whole = {f"base_model.model.{name}.weight": torch.randn(512, HIDDEN) for name in ("transformer.wte", "lm_head")}
    source = write_adapter(tmp_path / "legacy", fused_adapter("qwen1") | whole, modules_to_save=["wte", "lm_head"])
    convert_adapter(source, bases["qwen1"], tmp_path / "native")
    adapted = merged(tmp_path / "native", bases["qwen1"])
    assert torch.equal(adapted["model.embed_tokens.weight"], whole["base_model.model.transformer.wte.weight"])
    assert torch.equal(adapted["lm_head.weight"], whole["base_model.model.lm_head.weight"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "ADALORA"}, "ADALORA"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"use_dora": True}, "use_dora"),
        ({"rank_pattern": {"c_attn": 8}}, "rank_pattern"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"r": 8}, r"instead of \[8, 16\]"),
    ],
)
def test_an_adapter_that_computes_something_else_is_refused(
    changes: dict[str, Any], reason: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    source = write_adapter(tmp_path / "legacy", fused_adapter("qwen1"), **changes)
    require_refusal(source, bases["qwen1"], reason)


def require_refusal(source: Path, base: Path, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        convert_adapter(source, base, source.parent / "native")
    assert caught.value.fix
    assert not (source.parent / "native").exists()


def test_an_adapter_with_foreign_or_missing_matrices_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    tensors, base, place = fused_adapter("qwen1"), bases["qwen1"], tmp_path / "legacy"
    first = next(iter(tensors))
    require_refusal(
        write_adapter(place, {key: value for key, value in tensors.items() if key != first}), base, "stands without"
    )
    foreign = {"base_model.model.transformer.visual.proj.lora_A.weight": torch.zeros(RANK, HIDDEN)}
    require_refusal(write_adapter(place, tensors | foreign), base, "visual.proj.* is no module of Qwen-1")
    whole = {"base_model.model.lm_head.weight": torch.zeros(512, HIDDEN)}
    require_refusal(write_adapter(place, tensors | whole), base, "modules_to_save does not explain")
    require_refusal(write_adapter(place, {}), base, "no LoRA matrices")
    require_refusal(write_adapter(place, fused_adapter("chatglm3")), base, "no module of Qwen-1")
    (place / "adapter_model.safetensors").unlink()
    require_refusal(place, base, "no adapter weights")
    require_refusal(write_adapter(place, tensors), tmp_path, "no conversion.json")


def test_lora_on_a_unit_head_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    convert_base(write_checkpoint(tmp_path / "source", "baichuan2"), base)
    tensors = {f"base_model.model.lm_head.lora_{kind}.weight": torch.zeros(1, 1) for kind in "AB"}
    require_refusal(write_adapter(tmp_path / "legacy", tensors), base, "divided by their length")


class TestPrefix:
    """P-Tuning v2."""

    def test_the_golden_prefix_gives_the_originals_logits(
        self, converted: Converted, golden: Golden, golden_folder: Path, tmp_path: Path
    ) -> None:
        assert (
            convert_prefix(golden_folder / "chatglm3" / "ptuning_v2_checkpoint", converted("chatglm3"), tmp_path / "native")
            == 6
        )
        model = load_adapter(load_strictly(converted("chatglm3")), tmp_path / "native").eval()
        logits = prefix_logits(golden)
        assert deviation(model, logits, "single") < TOLERANCE
        # Left-padded rows need positions that begin after the padding; PEFT adds the prefix.
        positions = (logits["left_pad.attention_mask"].cumsum(1) - 1).clamp_min(0)
        assert deviation(model, logits, "left_pad", position_ids=positions) < TOLERANCE

    def test_the_original_keys_fit_only_positions_from_zero(
        self, converted: Converted, golden: Golden, golden_folder: Path, tmp_path: Path
    ) -> None:
        """Why the conversion rotates: the stored keys are wrong at PEFT's positions and right at the original's."""
        source = golden_folder / "chatglm3" / "ptuning_v2_checkpoint"
        convert_prefix(source, converted("chatglm3"), tmp_path / "native")
        stored = torch.load(source / "pytorch_model.bin", weights_only=True)["transformer.prefix_encoder.embedding.weight"]
        save_file({"prompt_embeddings": stored}, tmp_path / "native" / "adapter_model.safetensors")
        model = load_adapter(load_strictly(converted("chatglm3")), tmp_path / "native").eval()
        logits = prefix_logits(golden)
        assert deviation(model, logits, "single") > 1
        from_zero = torch.arange(logits["single.input_ids"].shape[1])[None] - len(stored)  # PEFT adds the prefix
        assert deviation(model, logits, "single", position_ids=from_zero) < TOLERANCE

    def test_a_projection_is_applied_once(self, bases: dict[str, Path], tmp_path: Path) -> None:
        tokens, size = 5, 2 * LAYERS * GROUPS * WIDTH
        torch.manual_seed(3)
        embedding, first, second = torch.nn.Embedding(tokens, size), torch.nn.Linear(size, 7), torch.nn.Linear(7, size)
        prefix = {"embedding.weight": embedding.weight, "trans.0.weight": first.weight, "trans.0.bias": first.bias}
        prefix |= {"trans.2.weight": second.weight, "trans.2.bias": second.bias}
        projected = write_prefix(tmp_path / "projected", prefix, tokens, prefix_projection=True)
        with torch.no_grad():
            flat = second(torch.tanh(first(embedding.weight)))
        plain = write_prefix(tmp_path / "plain", {"embedding.weight": flat}, tokens)
        for source in (projected, plain):
            convert_prefix(source, bases["chatglm3"], tmp_path / f"native-{source.name}")
        found, expected = (
            load_file(tmp_path / f"native-{name}" / "adapter_model.safetensors") for name in ("projected", "plain")
        )
        assert torch.allclose(found["prompt_embeddings"], expected["prompt_embeddings"], atol=1e-6)

    def test_what_is_no_prefix_of_this_base_is_refused(self, bases: dict[str, Path], tmp_path: Path) -> None:
        size = 2 * LAYERS * GROUPS * WIDTH
        good = {"embedding.weight": torch.zeros(5, size)}
        for number, (weights, tokens, base, reason) in enumerate(
            (
                (good, 5, "qwen1", "the base is a qwen1"),
                (good, 6, "chatglm3", r"shape \[5, 32\], the configs say \[6, 32\]"),
                ({"embedding.weight": torch.zeros(5, size // 2)}, 5, "chatglm3", r"shape \[5, 16\]"),
                (good | {"trans.0.weight": torch.zeros(2, 2)}, 5, "chatglm3", "1 tensors are not part of the prefix encoder"),
                ({}, 5, "chatglm3", "1 are missing"),
            )
        ):
            source = write_prefix(tmp_path / f"legacy{number}", weights, tokens)
            with pytest.raises(ModelError, match=reason) as caught:
                convert_prefix(source, bases[base], tmp_path / "native")
            assert caught.value.fix
        assert not (tmp_path / "native").exists()


def prefix_logits(golden: Golden) -> dict[str, torch.Tensor]:
    logits: dict[str, torch.Tensor] = golden("chatglm3", "golden_logits.safetensors")
    return logits | {f"{case}.logits": logits[f"ptuning.{case}.logits"] for case in ("single", "left_pad")}


def write_prefix(folder: Path, weights: dict[str, torch.Tensor], tokens: int, **changes: Any) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_json(folder / "config.json", {"model_type": "chatglm", "pre_seq_len": tokens, **changes})
    detached = {f"transformer.prefix_encoder.{name}": tensor.detach().clone() for name, tensor in weights.items()}
    torch.save(detached, folder / "pytorch_model.bin")
    return folder
