"""A batch of rows becomes packs, and a pack becomes a loss. It knows nothing about optimisation.

A batch counts examples, as the recipe says. Memory only subdivides it: each pack adds its summed loss and gradient, so
that how a batch was cut cannot be seen in the result.

Only hidden states that predict a target need logits. They are picked where they enter the model's head, through a hook of
PyTorch's: so that what a model does to logits behind its head happens to these too, also where its forward has no
`logits_to_keep`, and padded rows, whose targets stand in different columns, compute no more than packs do.

Shapes: B rows, T tokens, N targets, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from extune.models.adapters import count_virtual_tokens
from extune.recipe.sections import PackingName
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import (
    IGNORED,
    LayoutName,
    SpanLayout,
    answers_only,
    collate_packed,
    collate_padded,
    split_into_lines,
    split_into_packs,
)
from extune.training.last_layer import last_mlp, only_at
from extune.training.span_attention import find_blocks

MOST_LOGITS = 1 << 26
"""That are kept at once: with their float32 copy, its log-softmax and the gradients of both they take about 1.2 GB."""


@dataclass(frozen=True)
class BatchCollator:
    """Rows to a batch of packs.

    Attributes:
        packing: as in the recipe.
        max_tokens: of one pack, padding included; a longer row still makes a pack of its own.
        spare: with several processes, a row that a batch without rows computes with, but has no targets of.
        at_once: targets whose logits are kept together; those of the others are computed again for the backward pass.
            None keeps all.
        layout: of packs, for the attention that they are computed with.
        narrow: the last layer's MLP computes only positions that predict a target. Not for layers that are computed again in
            the backward pass: the hooks are gone by then.
    """

    packing: PackingName
    max_tokens: int
    spare: EncodedRow | None = None
    at_once: int | None = None
    layout: LayoutName = "lines"
    narrow: bool = False

    def __call__(self, rows: Sequence[EncodedRow]) -> dict[str, Any]:
        """The packs, and `labels` and `shift_labels`, both (N,): all targets, by which the Trainer counts a step's targets."""
        targets_N = torch.tensor([token for row in rows for token in row.ids[row.prompt_length :]], dtype=torch.long)
        computed = rows if rows or self.spare is None else [self.spare]
        return {"packs": self.packs(computed), "labels": targets_N, "shift_labels": targets_N, "rows": len(rows)}

    def spare_pack(self) -> dict[str, Any]:
        """The spare row as inputs of `target_losses`, for a process that has fewer packs than others."""
        if self.spare is None:
            raise ValueError("only several processes have a spare row")
        return self.packs([self.spare])[0]

    def packs(self, rows: Sequence[EncodedRow]) -> list[dict[str, Any]]:
        """The rows as inputs of `target_losses`, in order."""
        if self.packing == "shared_prefix":
            packs: list[dict[str, Any]] = [
                dict(collate_packed(part, self.layout)) for part in split_into_packs(rows, self.max_tokens)
            ]
        else:
            padded = [collate_padded(part) for part in split_into_lines(rows, self.max_tokens)]
            packs = [answers_only(lines) if self.packing == "plain" else {**lines} for lines in padded]
        settings = {"at_once": self.at_once, "narrow": self.narrow or None}
        chosen = {name: value for name, value in settings.items() if value is not None}
        return [{**pack, **chosen} for pack in packs] if chosen else packs


def target_losses(model: torch.nn.Module, pack: dict[str, Any]) -> torch.Tensor:
    """Cross-entropy of every target of a pack, (N,) float32 nats, in the order of the rows.

    Args:
        model: perhaps wrapped for several processes.
        pack: one of `BatchCollator.packs`.
    """
    inputs = {name: pack[name] for name in ("input_ids", "attention_mask", "position_ids", "layout") if name in pack}
    tokens = pack["input_ids"].shape[1]
    if "target_positions" not in pack:  # every logit
        logits_BTV = model(**inputs, use_cache=False).logits[:, -tokens:]  # behind those of learned virtual tokens
        is_target_BT = pack["labels"][:, 1:] != IGNORED  # position t predicts token t + 1
        return _losses(logits_BTV[:, :-1][is_target_BT], pack["labels"][:, 1:][is_target_BT])
    inner = extract_model_from_parallel(model)
    virtual = count_virtual_tokens(inner)
    if isinstance(pack.get("layout"), SpanLayout):
        inputs["layout"] = find_blocks(pack["layout"], virtual)
    if "layout" in pack and not virtual:
        # transformers takes a mask of four dimensions as it is, and packs have their layout; else it would draw T x T of it
        inputs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=pack["input_ids"].device)
    head = inner.get_output_embeddings()
    labels_N, size = pack["labels"], pack.get("at_once", len(pack["labels"]))
    mlp = last_mlp(inner) if pack.get("narrow") else None
    narrow = only_at(mlp, pack["target_positions"], tokens) if mlp is not None else nullcontext()
    with narrow, _only_targets(head, pack["target_positions"], tokens, size) as picked:
        logits = model(**inputs, use_cache=False).logits
    if not picked:  # the model multiplies with its head's weights, but does not call it
        return _losses(logits[:, -tokens:].flatten(0, 1).index_select(0, pack["target_positions"]), labels_N)
    (hidden_NH,) = picked
    chunks = [_losses(logits.squeeze(0), labels_N[:size])]
    for start in range(size, len(labels_N), size):
        part = slice(start, start + size)
        chunks.append(checkpoint(_head_losses, head, hidden_NH[part], labels_N[part], use_reentrant=False))
    return torch.cat(chunks)


@contextmanager
def _only_targets(head: torch.nn.Module, positions_N: torch.Tensor, tokens: int, size: int) -> Iterator[list[torch.Tensor]]:
    """Inside the block `head` gets the hidden states of the first `size` targets instead of all; those of all are collected.

    Args:
        head: whose input is (B, virtual tokens + T, H).
        positions_N: of the targets among the B * T tokens.
        tokens: T.
        size: how many targets the head computes.
    """
    picked: list[torch.Tensor] = []

    def pick(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden_NH = inputs[0][:, -tokens:].flatten(0, 1).index_select(0, positions_N)
        picked.append(hidden_NH)
        return (hidden_NH[None, :size], *inputs[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        yield picked
    finally:
        handle.remove()


def _head_losses(head: torch.nn.Module, hidden_NH: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    return _losses(head(hidden_NH), labels_N)


def _losses(logits_NV: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits_NV.float(), labels_N, reduction="none")
