"""Rows of token ids become tensors: padded (the plain way) or packed (shared prompt prefixes computed once).

In: encoded rows. Out: dictionaries of tensors that a causal language model takes, with targets only where an answer is trained.
It knows nothing about text, tasks, optimisation and which model runs.

A pack is one sequence `[prefix_1]..[prefix_G][rest_1]..[rest_B]`: rows whose prompts begin alike form a group, whose common
beginning stands there once. Position ids restart after a row's prefix, and each rest sees its prefix and itself, so that every
rest is computed exactly as if it stood alone behind the prefix. Only hidden states that predict a target need logits: their
positions are part of a pack.

Shapes: B rows, T tokens, G groups, P tokens of the longest prefix, R tokens of the longest rest, N targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypedDict

import torch
from torch.nn.functional import pad

from extune.tokens.encode import EncodedRow

IGNORED = -100
"""The label of a position that predicts nothing, as cross-entropy in PyTorch and Hugging Face spells it."""

GROUP_COST = 16
"""Tokens that a group must save beyond its own prefix: each makes the attention's batches more uneven."""


@dataclass(frozen=True)
class Group:
    """Rows of a batch that share the beginning of their prompts.

    Attributes:
        prefix: tokens that they share and that are computed once; may be 0.
        rows: their numbers in the batch, ascending.
    """

    prefix: int
    rows: tuple[int, ...]


class PackLayout(NamedTuple):
    """Where prefixes and rests of a pack lie, for an attention that handles both as batches of short lines.

    Attributes:
        heads_GP: int64 indices in T of the prefixes' tokens, one line per group, padded on the right with an index of T.
            At least two slots, also of no token: compiled code distinguishes no other sizes than 0, 1 and more.
        rests_BR: int64 indices in T of the rests' tokens, in the same way; at least two lines.
        group_B: int64, whose prefix stands before each rest.
        visible_BRK: bool, K = P + R, true where slot r sees key k: its prefix, and its own line causally. Padding slots
            stand last in their line, so that no real slot sees one. (1, R, K) where there is one group.
        order_T: int64 indices of the T tokens in the flattened G * P slots of heads followed by the B * R slots of rests.
    """

    heads_GP: torch.Tensor
    rests_BR: torch.Tensor
    group_B: torch.Tensor
    visible_BRK: torch.Tensor
    order_T: torch.Tensor


class SpanLayout(NamedTuple):
    """What each token of a pack sees, as two spans of T, for an attention that takes the pack as one sequence.

    All are (T,) int64. A token sees `[first_T, end_T)`, the prefix before its rest (empty for tokens of a prefix), and what
    stands from `own_T` on up to itself.
    """

    first_T: torch.Tensor
    end_T: torch.Tensor
    own_T: torch.Tensor


LayoutName = Literal["lines", "spans"]
"""As which a pack's layout is given: a PackLayout or a SpanLayout."""


class Pack(TypedDict):
    """What `collate_packed` returns; its docstring has the shapes."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    layout: PackLayout | SpanLayout
    target_positions: torch.Tensor
    labels: torch.Tensor


def collate_padded(rows: Sequence[EncodedRow], pad_id: int = 0) -> dict[str, torch.Tensor]:
    """One row per line, padded on the right.

    Args:
        rows: at least one.
        pad_id: any id of the vocabulary; it is masked and predicts nothing.

    Returns:
        input_ids, attention_mask (int64, 1 real and 0 padding) and labels, all (B, T) and int64. `labels[b, t]` is
        `input_ids[b, t]` at targets and `IGNORED` elsewhere: the loss shifts, as in Hugging Face.
    """
    shape = (len(rows), max(len(row.ids) for row in rows))
    ids_BT = torch.full(shape, pad_id)
    mask_BT = torch.zeros(shape, dtype=torch.int64)
    labels_BT = torch.full(shape, IGNORED)
    for line, row in enumerate(rows):
        ids_T = torch.tensor(row.ids)
        ids_BT[line, : len(ids_T)] = ids_T
        mask_BT[line, : len(ids_T)] = 1
        labels_BT[line, row.prompt_length : len(ids_T)] = ids_T[row.prompt_length :]
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "labels": labels_BT}


def answers_only(padded: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A padded batch that names the hidden states that predict a target, as a pack does.

    Returns:
        input_ids, attention_mask: as `collate_padded` made them.
        target_positions: (N,) int64, in the order of the rows, indices in the flattened B * T tokens.
        labels: (N,) int64, what they predict.
    """
    ahead_BT = pad(padded["labels"][:, 1:], (0, 1), value=IGNORED).flatten()
    positions_N = (ahead_BT != IGNORED).nonzero().flatten()
    return {**padded, "target_positions": positions_N, "labels": ahead_BT[positions_N]}


def collate_packed(rows: Sequence[EncodedRow], layout: LayoutName = "lines") -> Pack:
    """One pack of all rows.

    Returns:
        input_ids, position_ids: (1, T) int64.
        layout: which token may see which; `dense_mask` draws a PackLayout.
        target_positions: (N,) int64, the indices in T of the hidden states that predict a target, in the order of the rows.
        labels: (N,) int64, what they predict.
    """
    groups = group_by_prefix(rows)
    ids: list[int] = []
    positions: list[int] = []
    group_of = [0] * len(rows)
    for number, group in enumerate(groups):
        ids.extend(rows[group.rows[0]].ids[: group.prefix])
        positions.extend(range(group.prefix))
        for at in group.rows:
            group_of[at] = number
    targets: list[int] = []
    labels: list[int] = []
    for row, number in zip(rows, group_of, strict=True):
        prefix = groups[number].prefix
        first = len(ids) + row.prompt_length - prefix - 1
        targets.extend(range(first, first + len(row.ids) - row.prompt_length))
        labels.extend(row.ids[row.prompt_length :])
        ids.extend(row.ids[prefix:])
        positions.extend(range(prefix, len(row.ids)))
    rests = [len(row.ids) - groups[number].prefix for row, number in zip(rows, group_of, strict=True)]
    lay_out = _lay_out_lines if layout == "lines" else _lay_out_spans
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "layout": lay_out([group.prefix for group in groups], rests, group_of),
        "target_positions": torch.tensor(targets, dtype=torch.int64),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def _lay_out_spans(prefixes: Sequence[int], rests: Sequence[int], group_of: Sequence[int]) -> SpanLayout:
    """What tokens see in rests with these lengths, each behind the prefix of its group."""
    lengths = torch.tensor([*prefixes, *rests])
    starts = lengths.cumsum(0) - lengths
    group_B, nothing_G = torch.tensor(group_of), torch.zeros(len(prefixes), dtype=torch.int64)
    first = torch.cat([nothing_G, starts[group_B]])
    end = torch.cat([nothing_G, (starts + lengths)[group_B]])
    return SpanLayout(*torch.stack([first, end, starts]).repeat_interleave(lengths, dim=1))


def _lay_out_lines(prefixes: Sequence[int], rests: Sequence[int], group_of: Sequence[int]) -> PackLayout:
    """The layout of rests with these lengths, each behind the prefix of its group."""
    rests, group_of = (rests, group_of) if len(rests) > 1 else ((*rests, 0), (*group_of, 0))
    heads_GP, is_head_GP = _lines(prefixes, 0, max(*prefixes, 2))
    rests_BR, is_rest_BR = _lines(rests, sum(prefixes), max(rests))
    group_B = torch.tensor(group_of)
    before_B = torch.tensor(prefixes) if len(prefixes) == 1 else torch.tensor(prefixes)[group_B]
    longest, slot_R = heads_GP.shape[1], torch.arange(rests_BR.shape[1])
    sees_prefix_BP = torch.arange(longest) < before_B[:, None]
    sees_own_RR = slot_R <= slot_R[:, None]
    lines = (len(before_B), len(slot_R))
    return PackLayout(
        heads_GP=heads_GP,
        rests_BR=rests_BR,
        group_B=group_B,
        visible_BRK=torch.cat([sees_prefix_BP[:, None].expand(*lines, -1), sees_own_RR.expand(*lines, -1)], dim=2),
        order_T=torch.cat([is_head_GP.flatten(), is_rest_BR.flatten()]).nonzero().flatten(),
    )


def _lines(lengths: Sequence[int], start: int, slots: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of runs with these lengths, one line of `slots` each, the first at `start`; and which slots hold a token."""
    lengths_L = torch.tensor(lengths)
    slot_S = torch.arange(slots)
    real_LS = slot_S < lengths_L[:, None]
    starts_L = (start + lengths_L.cumsum(0) - lengths_L) * (lengths_L > 0)
    return starts_L[:, None] + slot_S * real_LS, real_LS


def dense_mask(layout: PackLayout) -> torch.Tensor:
    """The same visibility drawn as one (T, T) bool mask, true where a query (first axis) sees a key: to show and to test."""
    heads, slots = layout.heads_GP.shape, layout.rests_BR.shape[1]
    in_rests_T = layout.order_T - heads.numel()
    is_rest_T = in_rests_T >= 0
    line_T = torch.where(is_rest_T, in_rests_T // slots, -1)
    group_T = torch.where(is_rest_T, layout.group_B[line_T], layout.order_T // heads[1])
    same_line_TT = line_T == line_T[:, None]
    is_prefix_TT = ~is_rest_T & (group_T == group_T[:, None])
    return ((same_line_TT & is_rest_T) | is_prefix_TT).tril()


def group_by_prefix(rows: Sequence[EncodedRow]) -> list[Group]:
    """Divide rows into groups, so that tokens of prefixes and rests, and `GROUP_COST` for each group, are fewest.

    Prompts, sorted, are the leaves of a tree whose inner nodes are beginnings that neighbours share. A node's rows may form
    one group at its depth, and any of its branches may be better off on its own: which, is decided branch by branch, from the
    leaves up. Each row keeps at least its last prompt token, which predicts the first target, to itself.

    Returns:
        Every row in exactly one group; groups in the order of their first rows.
    """
    order = sorted(range(len(rows)), key=lambda at: rows[at].ids[: rows[at].prompt_length - 1])
    shared = [_common(rows[one], rows[other]) for one, other in pairwise(order)]
    groups = _best_groups(order, shared, rows[order[0]].prompt_length - 1)[1]
    return sorted((Group(prefix, tuple(sorted(members))) for prefix, members in groups), key=lambda group: group.rows[0])


def _common(one: EncodedRow, other: EncodedRow) -> int:
    limit = min(one.prompt_length, other.prompt_length) - 1
    return next((at for at in range(limit) if one.ids[at] != other.ids[at]), limit)


def _best_groups(order: list[int], shared: list[int], own: int) -> tuple[int, list[tuple[int, list[int]]]]:
    """What the best groups of a node's rows save, in tokens, and the groups as (prefix, rows).

    Args:
        order: numbers of the rows, sorted by their prompts.
        shared: tokens that neighbours share.
        own: depth of the node if it is a single row.
    """
    if len(order) == 1:
        return -GROUP_COST, [(own, order)]
    depth = min(shared)
    cuts = [0, *(at + 1 for at, length in enumerate(shared) if length == depth), len(order)]
    branches = [
        (order[low:high], *_best_groups(order[low:high], shared[low : high - 1], depth)) for low, high in pairwise(cuts)
    ]
    apart = sum(saved for _, saved, _ in branches)
    joined = sum(max(depth * len(members), saved) for members, saved, _ in branches) - depth - GROUP_COST
    merged = [at for members, saved, _ in branches if joined > apart and depth * len(members) > saved for at in members]
    kept = [
        group for members, saved, groups in branches if joined <= apart or depth * len(members) <= saved for group in groups
    ]
    return max(joined, apart), kept + ([(depth, merged)] if merged else [])


def shared_prefix_length(rows: Sequence[EncodedRow]) -> int:
    """Length of the longest prefix of ids that all rows share and that leaves each its last prompt token."""
    limit = min(row.prompt_length for row in rows) - 1
    # The smallest and the largest in lexicographic order differ first where any two rows do.
    lowest, highest = min(row.ids for row in rows), max(row.ids for row in rows)
    return next((at for at in range(limit) if lowest[at] != highest[at]), limit)


def split_into_packs(rows: Sequence[EncodedRow], max_tokens: int) -> list[list[EncodedRow]]:
    """Cut a batch into runs whose packs hold at most `max_tokens` tokens; a longer row stands alone.

    Rows of one group stand together, so that few prefixes are computed more than once; else they stay in order.
    """
    packs: list[list[EncodedRow]] = []
    room = 0
    for group in group_by_prefix(rows):
        prefix = group.prefix + GROUP_COST  # a pack's own groups cost no more than this, counted so
        for place, at in enumerate(group.rows):
            rest = len(rows[at].ids) - group.prefix
            needed = rest if packs and place else rest + prefix
            if not packs or needed > room:
                packs.append([])
                needed, room = rest + prefix, max_tokens
            packs[-1].append(rows[at])
            room -= needed
    return packs


def split_into_lines(rows: Sequence[EncodedRow], max_tokens: int) -> list[list[EncodedRow]]:
    """Cut a batch, in order, into runs that hold at most `max_tokens` tokens when padded; a longer row stands alone."""
    runs: list[list[EncodedRow]] = []
    longest = 0
    for row in rows:
        longest = max(longest, len(row.ids))
        if not runs or longest * (len(runs[-1]) + 1) > max_tokens:
            runs.append([])
            longest = len(row.ids)
        runs[-1].append(row)
    return runs
