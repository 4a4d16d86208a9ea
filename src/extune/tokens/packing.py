"""Rows of token ids become tensors: padded (the plain way) or packed (a shared prompt prefix computed once).

In: encoded rows. Out: dictionaries of tensors that a causal language model takes, with targets only where an answer is trained.
It knows nothing about text, tasks, optimisation and which model runs.

A pack is one sequence `[prefix][rest_1][rest_2]...`. Position ids restart after the prefix, and each rest sees the prefix and
itself, so that every rest is computed exactly as if it stood alone behind the prefix. Only hidden states that predict a
target need logits: the model takes their positions as `logits_to_keep`.

Shapes: B rows, T tokens, P tokens of the prefix, S = T - P behind it, R tokens of the longest rest, N targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

import torch
from torch.nn.functional import pad

from extune.tokens.encode import EncodedRow

IGNORED = -100
"""The label of a position that predicts nothing, as cross-entropy in PyTorch and Hugging Face spells it."""


class PackLayout(NamedTuple):
    """Where the rests of a pack lie, for an attention that handles them as B lines of R slots behind the prefix.

    Attributes:
        prefix: P, tokens of the shared prefix; may be 0.
        gather_BR: int64 indices in T of the rests' tokens, lines padded on the right with an index of their own.
        scatter_S: int64 indices in the flattened B * R slots of the S = T - P tokens behind the prefix, in order.
        visible_RK: bool, K = P + R, true where slot r sees key k: the prefix, and its own line causally. Padding slots
            stand last in their line, so that no real slot sees one.
    """

    prefix: int
    gather_BR: torch.Tensor
    scatter_S: torch.Tensor
    visible_RK: torch.Tensor


class Pack(TypedDict):
    """What `collate_packed` returns; its docstring has the shapes."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    layout: PackLayout
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


def collate_packed(rows: Sequence[EncodedRow]) -> Pack:
    """One pack of all rows.

    Returns:
        input_ids, position_ids: (1, T) int64.
        layout: which token may see which, as a PackLayout; `dense_mask` draws it.
        target_positions: (N,) int64, the indices in T of the hidden states that predict a target.
        labels: (N,) int64, what they predict, in the same order.
    """
    prefix = shared_prefix_length(rows)
    ids = list(rows[0].ids[:prefix])
    positions = list(range(prefix))
    targets: list[int] = []
    labels: list[int] = []
    for row in rows:
        first = len(ids) + row.prompt_length - prefix - 1
        targets.extend(range(first, first + len(row.ids) - row.prompt_length))
        labels.extend(row.ids[row.prompt_length :])
        ids.extend(row.ids[prefix:])
        positions.extend(range(prefix, len(row.ids)))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "layout": _layout(prefix, [len(row.ids) - prefix for row in rows]),
        "target_positions": torch.tensor(targets, dtype=torch.int64),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def _layout(prefix: int, rests: Sequence[int]) -> PackLayout:
    """The layout of rests with these lengths behind `prefix` shared tokens."""
    rests_B = torch.tensor(rests)
    slot_R = torch.arange(max(rests))
    starts_B = prefix + rests_B.cumsum(0) - rests_B
    real_BR = slot_R < rests_B[:, None]
    return PackLayout(
        prefix=prefix,
        gather_BR=starts_B[:, None] + slot_R * real_BR,
        scatter_S=real_BR.flatten().nonzero().flatten(),
        visible_RK=torch.arange(prefix + len(slot_R)) <= prefix + slot_R[:, None],
    )


def dense_mask(layout: PackLayout) -> torch.Tensor:
    """The same visibility drawn as one (T, T) bool mask, true where a query (first axis) sees a key: to show and to test."""
    line_S = layout.scatter_S // layout.gather_BR.shape[1] + 1
    line_T = torch.cat([line_S.new_zeros(layout.prefix), line_S])
    same_or_prefix_TT = (line_T == 0) | (line_T == line_T[:, None])
    return same_or_prefix_TT.tril()


def shared_prefix_length(rows: Sequence[EncodedRow]) -> int:
    """Length of the longest prefix of ids that all rows share and that leaves each its last prompt token."""
    limit = min(row.prompt_length for row in rows) - 1
    # The smallest and the largest in lexicographic order differ first where any two rows do.
    lowest, highest = min(row.ids for row in rows), max(row.ids for row in rows)
    return next((at for at in range(limit) if lowest[at] != highest[at]), limit)


def split_into_packs(rows: Sequence[EncodedRow], max_tokens: int) -> list[list[EncodedRow]]:
    """Cut a batch, in order, into runs whose packs hold at most `max_tokens` tokens; a longer row stands alone."""
    prefix = shared_prefix_length(rows)
    packs: list[list[EncodedRow]] = []
    room = 0
    for row in rows:
        rest = len(row.ids) - prefix
        if not packs or rest > room:
            packs.append([])
            room = max_tokens - prefix
        packs[-1].append(row)
        room -= rest
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
