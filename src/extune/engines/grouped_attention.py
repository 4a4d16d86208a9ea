"""Attention of few queries to many cached keys, without copying keys for each query head that shares them.

In: queries, keys, values and a boolean mask. Out: what transformers' `sdpa` gives. It knows nothing about models: it is
registered with transformers' public `AttentionInterface`, and a model asks for it by name. `sdpa` repeats the whole cache in
each layer and step where a mask is given; here the query heads of a group stand side by side as more queries of one head.
Shapes: B rows, T queries, K keys, H heads, G heads of keys and values, D head size.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from extune.models.attention import attention_in

NAME = "extune_grouped"


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Queries (B, H, T, D), keys and values (B, G, K, D) with H a multiple of G, mask (B, 1, T, K).

    Returns:
        (B, T, H, D), and None for the weights.
    """
    del module, kwargs
    rows, heads, count, size = query.shape
    together = heads // key.shape[1]
    output = scaled_dot_product_attention(
        query.reshape(rows, key.shape[1], together * count, size),
        key,
        value,
        attn_mask=attention_mask.repeat(1, 1, together, 1),
        dropout_p=dropout,
        scale=scaling,
    )
    return output.reshape(rows, heads, count, -1).transpose(1, 2), None


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def grouped_attention_in(model: Any) -> AbstractContextManager[None]:
    """Let `model` use `grouped_attention` inside the block."""
    return attention_in(model, NAME)
