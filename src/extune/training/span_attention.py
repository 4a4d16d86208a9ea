"""Attention over a pack as one sequence: torch's FlexAttention, which skips blocks of keys that no query of a block sees.

In: queries, keys and values of one packed sequence and what each token sees. Out: what each token attends to. No mask of
T x T is made: blocks are counted from the spans that tokens see, and inside a block the kernel looks a token's spans up.
It knows nothing about models and about when it is used.

Shapes: T tokens, V virtual tokens before them (0 without prefix tuning), K = V + T keys, Q and J blocks of queries and of keys,
H heads, G heads of keys, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad

from extune.tokens.packing import SpanLayout

DEVICES = ("cuda",)
"""Where FlexAttention has a backward pass (torch 2.13; CPUs have none), as torch names them."""

BLOCK = 128
"""Tokens of a block, as torch chooses it."""


@cache
def flex_kernel() -> Callable[..., torch.Tensor]:
    """FlexAttention, compiled at its first use; uncompiled it would compute every score.

    One compiled function serves all lengths: torch asks for a new one at the second length, for packs of one block and
    then no more, since a pack's spans are tensors and no part of the code.
    """
    compiled: Callable[..., torch.Tensor] = torch.compile(flex_attention)
    return compiled


def find_blocks(layout: SpanLayout, virtual: int = 0) -> BlockMask:
    """The blocks that hold anything to see, for all heads, and the rule inside them.

    Args:
        layout: of a pack, on the device where attention is computed.
        virtual: V; all tokens see them.
    """
    tokens = len(layout.own_T)
    seen_QJ = _count_seen(layout, virtual)
    whole_QJ = seen_QJ == BLOCK * BLOCK
    in_part_QJ = (seen_QJ > 0) & ~whole_QJ
    first_T, end_T, own_T = layout

    def sees(_batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        at = key - virtual
        in_prefix = (at >= first_T[query]) & (at < end_T[query])
        in_own = (at >= own_T[query]) & (at <= query)
        return (at < 0) | in_prefix | in_own

    return BlockMask.from_kv_blocks(
        *_list_blocks(in_part_QJ),
        *_list_blocks(whole_QJ),
        BLOCK_SIZE=BLOCK,
        mask_mod=sees,
        seq_lengths=(tokens, virtual + tokens),
    )


def _count_seen(layout: SpanLayout, virtual: int) -> torch.Tensor:
    """(Q, J) int64: how many pairs of a query and a key that it sees lie in each pair of blocks."""
    first_T, end_T, own_T = layout
    query_T = torch.arange(len(own_T), device=own_T.device)
    low_J = torch.arange(-virtual, len(own_T), BLOCK, device=own_T.device)

    def inside(begin_T: torch.Tensor, end_T: torch.Tensor) -> torch.Tensor:
        return (end_T[:, None].minimum(low_J + BLOCK) - begin_T[:, None].maximum(low_J)).clamp(min=0)

    before_T = torch.full_like(query_T, -virtual)
    seen_TJ = inside(before_T, torch.zeros_like(query_T)) + inside(first_T, end_T) + inside(own_T, query_T + 1)
    return pad(seen_TJ, (0, 0, 0, -len(own_T) % BLOCK)).view(-1, BLOCK, len(low_J)).sum(1)


def _list_blocks(chosen_QJ: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many blocks of keys each block of queries has, (1, 1, Q), and their numbers first, (1, 1, Q, J); both int32."""
    numbers_QJ = chosen_QJ.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return chosen_QJ.sum(-1).int()[None, None], numbers_QJ.int()[None, None]


def span_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, blocks: BlockMask, dropout: float, scaling: float | None
) -> torch.Tensor:
    """Attention of one packed sequence.

    Args:
        query: (1, H, T, D).
        key: (1, G, K, D); H is a multiple of G.
        value: as `key`.
        blocks: from `find_blocks`.
        dropout: must be 0: the kernel has none.
        scaling: of the scores; None: as usual, by the root of D.

    Returns:
        (1, T, H, D).
    """
    if dropout:
        raise NotImplementedError(f"FlexAttention has no dropout, and the model's attention has {dropout:g}")
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    attended = flex_kernel()(
        query.to(dtype),
        key.to(dtype),
        value.to(dtype),
        block_mask=blocks,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return attended.transpose(1, 2)
