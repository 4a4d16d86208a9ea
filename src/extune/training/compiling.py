"""Layers as compiled code while they are trained. In: a model. Out: the same weights behind compiled layers, or why not.

torch.compile fuses what stands between a layer's matrix products, and is asked once for all equal layers and every length of
input. It knows nothing about packs and the Trainer.
"""

from __future__ import annotations

import shutil

import torch
from accelerate.utils import compile_regions
from transformers import PreTrainedModel

_COMPILERS = ("g++", "clang++", "cl")


def compile_layers(model: PreTrainedModel) -> torch.nn.Module:
    """A second view of `model` whose repeated layers are compiled at their first use; the weights are the same objects.

    The model itself stays as it is, for prediction and for saving.
    """
    compiled: torch.nn.Module = compile_regions(model, dynamic=True)
    return compiled


def compiling_obstacle(model: PreTrainedModel, device: torch.device, processes: int) -> str | None:
    """Why the layers cannot be compiled here; None where nothing is in the way."""
    if device.type == "cpu" and not any(map(shutil.which, _COMPILERS)):
        return "no C++ compiler was found (" + ", ".join(_COMPILERS) + ")"
    if processes > 1:
        return "several processes exchange gradients through hooks of the whole model"
    if getattr(model, "is_loaded_in_4bit", False):
        return "matrices in 4 bits have kernels of their own"
    return None
