"""FlexAttention as its documentation describes it, with a backward pass on CPUs too, which torch's own has not (2.13)."""

from __future__ import annotations

import torch
from torch.nn.attention.flex_attention import BlockMask, create_mask
from torch.nn.functional import scaled_dot_product_attention


def flex_reference(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    block_mask: BlockMask,
    scale: float | None,
    enable_gqa: bool,
) -> torch.Tensor:
    """Only what the lists of blocks name is seen: whole blocks as they are, the others by their rule."""
    assert block_mask.seq_lengths == (query.shape[2], key.shape[2])
    assert query.dtype == key.dtype == value.dtype
    rule = create_mask(block_mask.mask_mod, None, None, *block_mask.seq_lengths, device=query.device)[0, 0]
    part = spread(block_mask, block_mask.kv_num_blocks, block_mask.kv_indices)
    whole = spread(block_mask, block_mask.full_kv_num_blocks, block_mask.full_kv_indices)
    return scaled_dot_product_attention(query, key, value, attn_mask=(part & rule) | whole, scale=scale, enable_gqa=enable_gqa)


def spread(block_mask: BlockMask, count: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """(queries, keys) bool, true in the blocks that the lists name."""
    queries, keys = block_mask.seq_lengths
    named = named_blocks(count, indices)
    height, width = block_mask.BLOCK_SIZE
    return named.repeat_interleave(height, 0).repeat_interleave(width, 1)[:queries, :keys]


def named_blocks(count: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """(blocks of queries, blocks of keys) bool."""
    named = torch.zeros(indices.shape[2:], dtype=torch.bool, device=count.device)
    for line, (many, numbers) in enumerate(zip(count[0, 0].tolist(), indices[0, 0].tolist(), strict=True)):
        named[line, numbers[:many]] = True
    return named
