"""Attention over a pack: prefixes as one batch of short lines, then all rests as another behind them.

In: queries, keys and values of one packed sequence and its layout. Out: what each token attends to. It knows nothing about
models: it is registered with transformers' public `AttentionInterface`, and a model asks for it by name. A dense T x T mask
gives the same numbers; on a pack of 16 TCM sentences it took half of the whole training step. A pack that comes with blocks
instead goes to FlexAttention (`span_attention`).

Prefix tuning puts V learned keys and values before those of the pack: every token sees all of them.

Shapes: B rests, T tokens, G groups of rows that share a prefix, P and R slots of a line of a prefix and of a rest, L lines and
S slots of either, V virtual tokens (0 without prefix tuning), K keys of a line, H heads, D head size.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from extune.models.attention import attention_in
from extune.tokens.packing import PackLayout
from extune.training.span_attention import span_attention

NAME = "extune_packed"

SHORT = 256
"""Queries of a line up to which torch's kernel for CPUs (2.13) is slower in bfloat16 than in float32, backward pass included:
with 66 queries it took 2.2 times as long, with 400 as long, with 800 seven tenths."""


def packed_attention(  # noqa: PLR0913, PLR0917 - the signature is transformers'
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: PackLayout | BlockMask | None = None,
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
    if isinstance(layout, BlockMask):
        return span_attention(query, key, value, layout, dropout, scaling), None
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    virtual, longest = key.shape[2] - query.shape[2], layout.heads_GP.shape[1]
    keys_GHKD, values_GHKD = (_behind_virtual(part, layout.heads_GP, virtual) for part in (key, value))
    heads_GHPD = _attend(
        _lines(query, layout.heads_GP),
        keys_GHKD,
        values_GHKD,
        # torch's is_causal aligns the first query with the first key, which with virtual tokens is not its own
        query.new_ones(longest, virtual + longest, dtype=torch.bool).tril(virtual) if virtual else None,
        dropout,
        scaling,
    )
    rests_BHRD = _attend(
        _lines(query, layout.rests_BR),
        _behind_heads(keys_GHKD, key, layout, virtual),
        _behind_heads(values_GHKD, value, layout, virtual),
        pad(layout.visible_BRK, (virtual, 0), value=True)[:, None],
        dropout,
        scaling,
    )
    slots = torch.cat([lines_LHSD.transpose(1, 2).flatten(0, 1) for lines_LHSD in (heads_GHPD, rests_BHRD)])
    return slots.index_select(0, layout.order_T)[None], None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attention as torch computes it, causal without a mask; short lines on CPUs in float32."""
    in_float32 = query.device.type == "cpu" and query.shape[2] <= SHORT
    if in_float32:
        dtype = value.dtype
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast("cpu", enabled=False) if in_float32 else nullcontext():
        attended = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling, is_causal=mask is None
        )
    return attended.to(dtype) if in_float32 else attended


def _lines(tokens: torch.Tensor, indices_LS: torch.Tensor) -> torch.Tensor:
    """(1, H, T, D) to (L, H, S, D): the tokens at the indices."""
    picked = tokens.squeeze(0).transpose(0, 1).index_select(0, indices_LS.flatten())
    return picked.view(*indices_LS.shape, *picked.shape[1:]).transpose(1, 2)


def _behind_virtual(tokens: torch.Tensor, heads_GP: torch.Tensor, virtual: int) -> torch.Tensor:
    """(1, H, V + T, D) to (G, H, V + P, D): virtual tokens before every prefix."""
    lines = _lines(tokens, heads_GP + virtual)
    return torch.cat([tokens[:, :, :virtual].expand(len(lines), -1, -1, -1), lines], dim=2) if virtual else lines


def _behind_heads(heads_GHKD: torch.Tensor, tokens: torch.Tensor, layout: PackLayout, virtual: int) -> torch.Tensor:
    """(1, H, V + T, D) to (B, H, V + P + R, D): before every rest what stands before it."""
    rests, groups = len(layout.group_B), len(heads_GHKD)
    before = heads_GHKD.expand(rests, -1, -1, -1) if groups == 1 else heads_GHKD.index_select(0, layout.group_B)
    return torch.cat([before, _lines(tokens, layout.rests_BR + virtual)], dim=2)


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def packed_attention_in(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Let `model` use `packed_attention` inside the block; plain batches run as with `sdpa` meanwhile."""
    return attention_in(model, NAME)
