"""Bases in 4 bits, by bitsandbytes. In: the `adapter` section or a contract. Out: what transformers is told when it loads.

bitsandbytes is an extra: nothing here needs it before a base is to be quantised.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from extune.errors import RecipeError
from extune.recipe.adapters import AdapterSection, QloraAdapter
from extune.runs.contract import Quantization


def quantization_of(section: AdapterSection) -> Quantization | None:
    """How the method wants its base held; None: whole."""
    if not isinstance(section, QloraAdapter):
        return None
    return Quantization(type=section.bnb_4bit_quant_type, double=section.bnb_4bit_use_double_quant)


def loading_arguments(quantization: Quantization | None, dtype: torch.dtype, device: str) -> dict[str, Any]:
    """What `from_pretrained` is told beside the folder; nothing where the base stays whole.

    Raises:
        RecipeError: bitsandbytes is not installed.
    """
    if quantization is None:
        return {}
    require_bitsandbytes("adapter.method: qlora")
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.type,
        bnb_4bit_use_double_quant=quantization.double,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


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
