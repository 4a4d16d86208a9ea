"""How many tokens fit into one pack. In: a model and a row. Out: a budget in tokens. It knows nothing about batches."""

from __future__ import annotations

import psutil
import torch

from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses

MOST_TOKENS = 8192
"""Longer packs were not faster: from about 2,000 tokens on, every matrix is large enough."""

SHARE = 0.5
"""Of the free memory, for activations; gradients, optimizer state and temporary buffers need the rest."""


def plan_pack_tokens(model: torch.nn.Module, row: EncodedRow, device: torch.device) -> int:
    """Tokens per pack, a power of two, at most `MOST_TOKENS`, whose activations fit into `SHARE` of the free memory."""
    fitting = SHARE * _free_memory(device) / activation_bytes_per_token(model, row, device)
    return min(MOST_TOKENS, 1 << max(int(fitting).bit_length() - 1, 0))


def activation_bytes_per_token(model: torch.nn.Module, row: EncodedRow, device: torch.device) -> float:
    """What the backward pass of one row keeps, in bytes per token, measured by running it forward once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def remember(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    (pack,) = BatchCollator(packing="plain", max_tokens=1).packs([row])
    pack = {name: tensor.to(device) for name, tensor in pack.items()}
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        losses_N = target_losses(model, pack)
    del losses_N
    return max(sum(kept.values()) / len(row.ids), 1.0)


def _free_memory(device: torch.device) -> int:
    """Bytes that can be had on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
