"""What a training will need of memory, measured on its own longest rows before the first step.

In: a model with its adapter, a row or the trial of the largest pack. Out: tokens that fit into one pack, whether layers have to
be computed again to save memory, and a plan in bytes. It knows nothing about how batches are made.

Weights, adapter, gradients and optimizer are counted. What the backward pass keeps is recorded by hooks of autograd. What it
needs beside that for a moment is estimated: the gradients of the logits, or those of the largest tensor that a layer keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import psutil
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from extune.models.pieces import is_in_pieces, own_part
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.memory_estimate import fits, optimizer_bytes
from extune.training.memory_shares import Shares

MOST_TOKENS = 8192
"""Longer packs were not faster: from about 2,000 tokens on, every matrix is large enough."""

SHARE = 0.5
"""Of the free memory, for activations; gradients, optimizer state and temporary buffers need the rest."""

_PASSING = 3
"""So many tensors of the size of the largest that a layer keeps its backward pass has for a moment: the gradients of a product
and of its two factors."""

_GIB = 1 << 30


@dataclass
class Kept:
    """What the backward pass keeps, in bytes.

    Attributes:
        activations, logits: of all tensors but weights; logits are those whose last axis is the vocabulary.
        largest, largest_logits: of them, the largest tensor each.
    """

    vocabulary: int
    activations: int = 0
    logits: int = 0
    largest: int = 0
    largest_logits: int = 0

    def add(self, tensor: torch.Tensor, size: int) -> None:
        """Count a tensor with storage of its own."""
        if tensor.dim() and tensor.shape[-1] == self.vocabulary and tensor.is_floating_point():
            self.logits += size
            self.largest_logits = max(self.largest_logits, size)
        else:
            self.activations += size
            self.largest = max(self.largest, size)


@dataclass(frozen=True)
class MemoryPlan:
    """One step with the largest pack, in bytes.

    Attributes:
        weights: of the base, as it is held; in pieces, with what is gathered of them at one time.
        adapter: trained weights beside the base; 0 where all of the model is trained.
        activations: kept for the backward pass, and what one layer of it needs for a moment.
        logits: kept and their gradients; logits_full: the same if every token of the pack had logits and a loss.
        tokens: of the pack.
        free: memory that was free before.
        checkpointing: layers are computed again in the backward pass.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    logits_full: int
    tokens: int
    free: int
    checkpointing: bool

    @property
    def peak(self) -> int:
        """All that is held at once."""
        return self.weights + self.adapter + self.gradients + self.optimizer + self.activations + self.logits

    def divided(self, shares: Shares, gathered: int) -> MemoryPlan:
        """The plan of one of several processes; `gathered`: bytes of weights that are whole for a moment."""
        return replace(
            self,
            weights=self.weights // shares.weights + gathered,
            adapter=self.adapter // shares.adapter,
            gradients=self.gradients // shares.gradients,
            optimizer=self.optimizer // shares.optimizer,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, in bytes."""
        return asdict(self) | {"peak": self.peak}

    def __str__(self) -> str:
        parts = ("weights", "adapter", "gradients", "optimizer", "activations", "logits")
        shown = ", ".join(f"{name} {getattr(self, name) / _GIB:.2f}" for name in parts)
        return (
            f"memory: {self.peak / _GIB:.2f} GiB at most ({shown}; logits of all {self.tokens:,} tokens of the largest pack"
            f" would take {self.logits_full / _GIB:.2f}), gradient checkpointing {'on' if self.checkpointing else 'off'}"
        )


@contextmanager
def recorded(model: torch.nn.Module, *, hold: bool = True) -> Iterator[Kept]:
    """Record what forward passes inside the block keep for their backward pass.

    Args:
        model: whose weights are not counted.
        hold: keep it, so that there can be a backward pass; else nothing is kept, and memory is not needed for it.
    """
    weights = {_reference(own_part(one).untyped_storage()) for one in model.parameters()}
    seen: set[StorageWeakRef] = set()  # a storage that is referred to keeps its identity, also when it is freed
    kept = Kept(_vocabulary(model))

    def pass_over(part: torch.nn.Module, _inputs: object) -> None:  # gathered from their pieces a moment ago
        weights.update(_reference(own_part(one).untyped_storage()) for one in part.parameters(recurse=False))

    def remember(tensor: torch.Tensor) -> torch.Tensor | None:
        storage = tensor.untyped_storage()
        reference = _reference(storage)
        if reference not in weights and reference not in seen:
            seen.add(reference)
            kept.add(tensor, storage.nbytes())
        return tensor if hold else None

    parts = model.modules() if is_in_pieces(model) else ()
    handles = [part.register_forward_pre_hook(pass_over) for part in parts]
    try:
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            yield kept
    finally:
        for handle in handles:
            handle.remove()


def _reference(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]  # torch has no types for it


def plan_pack_tokens(model: torch.nn.Module, row: EncodedRow, device: torch.device) -> int:
    """Tokens per pack, a power of two, at most `MOST_TOKENS`, whose activations fit into `SHARE` of the free memory."""
    fitting = SHARE * free_memory(device) / activation_bytes_per_token(model, row, device)
    return min(MOST_TOKENS, 1 << max(int(fitting).bit_length() - 1, 0))


def activation_bytes_per_token(model: torch.nn.Module, row: EncodedRow, device: torch.device) -> float:
    """What the backward pass of one row keeps, in bytes per token, measured by running it forward once."""
    kept = measure_row(model, row, device)
    return max((kept.activations + kept.logits) / len(row.ids), 1.0)


def measure_row(model: torch.nn.Module, row: EncodedRow, device: torch.device) -> Kept:
    """What the backward pass of one row would keep; nothing of it is kept."""
    (pack,) = BatchCollator(packing="plain", max_tokens=1).packs([row])
    pack = {name: tensor.to(device) for name, tensor in pack.items()}
    with recorded(model, hold=False) as kept:
        target_losses(model, pack)
    return kept


def needs_checkpointing(model: torch.nn.Module, optim: str, kept: Kept, device: torch.device, shares: Shares) -> bool:
    """Whether a row that keeps this does not fit into the free memory, a tenth left free, beside gradients and optimizer."""
    moment = _PASSING * kept.largest + 2 * kept.largest_logits
    needed = sum(_trained_bytes(model, optim, shares)) + kept.activations + kept.logits + moment
    return not fits(needed, free_memory(device))


def plan_memory(
    model: torch.nn.Module, optim: str, kept: Kept, row: tuple[Kept, int], pack: dict[str, Any], free: int, checkpointing: bool
) -> MemoryPlan:
    """The plan of a training that holds everything whole.

    Args:
        model: with its adapter.
        optim: of the recipe.
        kept: recorded while the largest pack was tried.
        row: what a row keeps without checkpointing, and its tokens.
        pack: the largest.
        free: memory before, in bytes.
        checkpointing: whether layers are computed again.
    """
    frozen, trained = (
        sum(one.nbytes for one in model.parameters() if one.requires_grad == is_trained) for is_trained in (False, True)
    )
    gradients, states = _trained_bytes(model, optim, Shares())
    tokens = pack["input_ids"].numel()
    largest, layer = kept.largest, 0
    if checkpointing:
        row_kept, row_tokens = row
        layer = row_kept.activations * tokens // row_tokens // _layers(model)
        largest = max(largest, row_kept.largest * tokens // row_tokens)
    one_logit = 4 + 2 * (next(model.parameters()).element_size() == 2)
    gradient = kept.largest_logits * one_logit // 4
    if pack["labels"].dim() == 2:  # every token has logits, and gradients of them
        gradient += 2 * tokens * kept.vocabulary * (one_logit - 4 or 4)
    passing = max(_PASSING * largest + layer - gradient, 0)  # the two moments are not at the same time
    return MemoryPlan(
        weights=frozen if frozen else trained,
        adapter=trained if frozen else 0,
        gradients=gradients,
        optimizer=states,
        activations=kept.activations + passing,
        logits=kept.logits + gradient,
        logits_full=tokens * kept.vocabulary * (4 + one_logit + (one_logit - 4 or 4)),
        tokens=tokens,
        free=free,
        checkpointing=checkpointing,
    )


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def peak_bytes(device: torch.device) -> int | None:
    """The most that tensors took on the device so far; None for a CPU, of which torch does not say it."""
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None


def _trained_bytes(model: torch.nn.Module, optim: str, shares: Shares) -> tuple[int, int]:
    """Gradients and optimizer states."""
    trained = [one for one in model.parameters() if one.requires_grad]
    gradients, states = sum(one.nbytes for one in trained), sum(optimizer_bytes(optim, tuple(one.shape)) for one in trained)
    return gradients // shares.gradients, states // shares.optimizer


def _vocabulary(model: Any) -> int:
    return int(model.get_output_embeddings().weight.shape[0])


def _layers(model: Any) -> int:
    return int(model.config.get_text_config().num_hidden_layers)
