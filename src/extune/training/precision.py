"""Which number formats a training uses. In: the recipe's wish, the method and the device. Out: a Precision."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_LOG = logging.getLogger(__name__)
_WHOLE = ("full", "freeze")


@dataclass(frozen=True)
class Precision:
    """How the base is held and how it is multiplied.

    Attributes:
        weights: dtype in which the base is loaded; LoRA parameters are float32 in any case.
        autocast: matrices are multiplied in bfloat16, whatever the weights are.
    """

    weights: str
    autocast: bool


def choose_precision(dtype: str, method: str, device: str) -> Precision:
    """The fastest precision that loses no small update.

    AdamW's steps vanish in bfloat16 weights (8 bits of mantissa), so what is trained is float32. With bfloat16 autocast, packed
    steps of the embedded base took 0.64 of their float32 time on a CPU with AVX512-BF16, against 0.54 for bfloat16 weights:
    autocast keeps nearly all of the gain. A frozen base on a GPU is held in bfloat16, which halves its memory.

    float16 overflows in training: where a recipe asks for it, bfloat16 or float32 takes its place, and the log says so.

    Args:
        dtype: `base.dtype` of the recipe. `auto` uses bfloat16 where the device multiplies it natively.
        method: `adapter.method`.
        device: as torch names it.
    """
    native = multiplies_bfloat16(device)
    if dtype == "float16":
        taken = "bfloat16" if native else "float32"
        _LOG.warning("base.dtype: float16 overflows in training; %s on %s takes its place", taken, device)
    return precision_where(dtype, method, gpu=device.startswith("cuda"), native=native)


def precision_where(dtype: str, method: str, *, gpu: bool, native: bool) -> Precision:
    """As `choose_precision`, for a device that need not be here; `native`: it multiplies bfloat16."""
    if dtype == "float32" or (dtype != "bfloat16" and not native):
        return Precision("float32", autocast=False)
    held_small = method not in _WHOLE and (dtype == "bfloat16" or gpu)
    return Precision("bfloat16" if held_small else "float32", autocast=True)


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device has instructions for it; emulated bfloat16 is slower than float32."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # since torch 2.11; before, nothing public says it
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return False


@contextmanager
def computing(device: torch.device, *, autocast: bool) -> Iterator[None]:
    """Multiply in bfloat16 inside the block, if so asked."""
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        yield
