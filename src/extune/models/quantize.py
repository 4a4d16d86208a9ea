"""Weights in few bits: bases that bitsandbytes quantises while they are loaded, and folders that hold quantised weights.

In: the `adapter` section, a contract or a folder. Out: what transformers is told when it loads. bitsandbytes and
compressed-tensors are extras: nothing here needs them before a model is to be loaded so.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from extune.errors import RecipeError
from extune.recipe.adapters import AdapterSection, QloraAdapter
from extune.runs.contract import Quantization

BITSANDBYTES, COMPRESSED_TENSORS = "bitsandbytes", "compressed-tensors"
"""What `quant_method` of a config says, as transformers spells it."""

QUANTIZED = ("awq", "gptq", "int8", "nf4")
"""Methods of `extune quantize`, and the variants that they make."""


def quantization_of(section: AdapterSection) -> Quantization | None:
    """How the method wants its base held; None: whole."""
    if not isinstance(section, QloraAdapter):
        return None
    return Quantization(type=section.bnb_4bit_quant_type, double=section.bnb_4bit_use_double_quant)


def stored_quantization(folder: Path) -> str | None:
    """How the weights of a model folder are quantised, by the name in its config; None where they are whole."""
    section = _read_section(folder)
    return str(section.get("quant_method")) if section else None


def holds_4_bits(folder: Path) -> bool:
    """Whether a folder of compressed-tensors holds layers in 4 bits."""
    groups = _read_section(folder).get("config_groups", {}).values()
    return any((group.get("weights") or {}).get("num_bits") == 4 for group in groups)


def _read_section(folder: Path) -> dict[str, Any]:
    """What the config says of quantisation; empty where it says nothing."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    section = settings.get("quantization_config") if isinstance(settings, dict) else None
    return section if isinstance(section, dict) else {}


def require_whole(folder: Path, where: str) -> None:
    """Raise a RecipeError where the weights of a model folder are quantised: training and quantising begin with whole ones."""
    stored = stored_quantization(folder)
    if stored is not None:
        raise RecipeError(
            f"the weights in {folder} are quantised ({stored})",
            where=where,
            expected="a run with whole weights or an adapter",
            fix="name the run that this variant was made of",
        )


def loading_arguments(folder: Path, quantization: Quantization | None, dtype: torch.dtype, device: str) -> dict[str, Any]:
    """What `from_pretrained` is told beside the folder; nothing where the weights are whole and stay so.

    Raises:
        RecipeError: bitsandbytes or compressed-tensors, which reads the folder, is not installed; or weights that are quantised
            already are to be quantised.
    """
    stored = stored_quantization(folder)
    if quantization is None:
        return _arguments_of_stored(folder, stored, device)
    if stored is not None:
        raise RecipeError(
            f"its weights are quantised already ({stored})",
            where=str(folder),
            expected="whole weights, which adapter.method: qlora quantises itself",
            fix="use the model as it was before it was quantised",
        )
    require_bitsandbytes("adapter.method: qlora")
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.type,
        bnb_4bit_use_double_quant=quantization.double,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _arguments_of_stored(folder: Path, stored: str | None, device: str) -> dict[str, Any]:
    """As `loading_arguments`, where nothing is to be quantised: the folder's config says how its weights are read."""
    if stored == BITSANDBYTES:
        require_bitsandbytes(str(folder))
        return {"device_map": {"": device}}
    if stored == COMPRESSED_TENSORS:
        require_compressed_tensors(str(folder))
    return {}


def keep_gradients(model: PreTrainedModel) -> PreTrainedModel:
    """Let a quantised model compute the same in evaluation as in training.

    On CPUs that multiply bfloat16, bitsandbytes (0.50) repacks a layer when it first evaluates it: from then on it computes
    in bfloat16, whatever was asked for, and without gradients, so that a training with a dev set would learn nothing below it.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model


def require_bitsandbytes(where: str) -> None:
    """Raise a RecipeError that names the install command where bitsandbytes is absent."""
    if find_spec("bitsandbytes") is None:
        raise RecipeError(
            "bitsandbytes is not installed",
            where=where,
            expected="the extra `qlora` of extune",
            fix='pip install "extune[qlora]"',
        )


def require_compressed_tensors(where: str) -> None:
    """Raise a RecipeError that names the install command where compressed-tensors is absent."""
    if find_spec("compressed_tensors") is None:
        raise RecipeError(
            "compressed-tensors, which reads these weights, is not installed",
            where=where,
            expected="the extra `quantized` of extune",
            fix='pip install "extune[quantized]"',
        )
