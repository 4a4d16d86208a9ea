"""Attention over a pack: the prefix once, then all rests as one batch of short lines behind it.

In: queries, keys and values of one packed sequence and its layout. Out: what each token attends to. It knows nothing about
models: it is registered with transformers' public `AttentionInterface`, and a model asks for it by name. A dense T x T mask
gives the same numbers; on a pack of 16 TCM sentences it took half of the whole training step.

Prefix tuning puts V learned keys and values before those of the pack: every token sees all of them.

Shapes: B rests, T tokens, P prefix tokens, S = T - P, R slots of a line, K = P + R keys, V virtual tokens (0 without prefix
tuning), H heads, G heads of keys and values, D head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from extune.tokens.packing import PackLayout

NAME = "extune_packed"


def packed_attention(  # noqa: PLR0913, PLR0917 - the signature is transformers'
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: PackLayout | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one packed sequence; without a layout, that of transformers' `sdpa`.

    Queries are (1, H, T, D), keys and values (1, G, V + T, D) with H a multiple of G. The layout is given to the model's
    forward as a keyword argument, which transformers hands down to here; the mask is not looked at beside it.

    Returns:
        (1, T, H, D), and None for the weights.
    """
    if layout is None:
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return plain
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    virtual = key.shape[2] - query.shape[2]
    seen = virtual + layout.prefix
    head_1HPD = scaled_dot_product_attention(
        query[:, :, : layout.prefix],
        key[:, :, :seen],
        value[:, :, :seen],
        # torch's is_causal aligns the first query with the first key, which with virtual tokens is not its own
        attn_mask=query.new_ones(layout.prefix, seen, dtype=torch.bool).tril(virtual) if virtual else None,
        dropout_p=dropout,
        scale=scaling,
        is_causal=not virtual,
    )
    rests_BHRD = scaled_dot_product_attention(
        _lines(query, layout),
        _behind_prefix(key, layout, virtual),
        _behind_prefix(value, layout, virtual),
        attn_mask=pad(layout.visible_RK, (virtual, 0), value=True),
        dropout_p=dropout,
        scale=scaling,
    )
    rests_SHD = rests_BHRD.transpose(1, 2).flatten(0, 1).index_select(0, layout.scatter_S)
    return torch.cat([head_1HPD[0].transpose(0, 1), rests_SHD])[None], None


def _lines(tokens: torch.Tensor, layout: PackLayout) -> torch.Tensor:
    """(1, H, T, D) to (B, H, R, D): one line per rest."""
    picked = tokens[0].transpose(0, 1).index_select(0, layout.gather_BR.flatten())
    return picked.view(*layout.gather_BR.shape, *picked.shape[1:]).transpose(1, 2)


def _behind_prefix(tokens: torch.Tensor, layout: PackLayout, virtual: int) -> torch.Tensor:
    """(1, H, V + T, D) to (B, H, V + K, D): virtual tokens and prefix before every line."""
    prefix = tokens[:, :, : virtual + layout.prefix].expand(len(layout.gather_BR), -1, -1, -1)
    return torch.cat([prefix, _lines(tokens[:, :, virtual:], layout)], dim=2)


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def packed_attention_in(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` use `packed_attention` inside the block; plain batches run as with `sdpa` meanwhile."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
