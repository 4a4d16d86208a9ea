"""Everything that can be known to fail is found before the first step.

In: model, rows and how they are batched. Out: nothing, or a TrainingError that names the cause; and what speaks against packing
with this model. Weights, gradients, mode and random state are left as they were. It knows nothing about the Trainer.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import send_to_device
from peft import PeftType
from transformers import PreTrainedConfig, PreTrainedModel

from extune.errors import TrainingError
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator
from extune.training.gradients import gradient_of, norm_of

Losses = Callable[[PreTrainedModel, dict[str, Any]], torch.Tensor]


@contextmanager
def undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """Give back the training mode, the cache setting and torch's random state after the block."""
    training, use_cache = model.training, model.config.use_cache
    with torch.random.fork_rng():
        try:
            yield
        finally:
            model.train(training)
            model.config.use_cache = use_cache


def require_rows(rows: Sequence[EncodedRow]) -> None:
    """Raise where there is nothing to train on, or a row without a single target token."""
    if not rows:
        raise TrainingError(
            "there is no row to train on",
            where="data.train",
            expected="at least one example that fits the budgets",
            fix="check the file with `extune check`, or raise prompt.max_input_tokens",
        )
    empty = [row.example_id for row in rows if len(row.ids) <= row.prompt_length]
    if empty:
        raise TrainingError(
            f"{len(empty)} rows have no target token, the first is example {empty[0]!r}",
            where="data.train",
            expected="an answer of at least the stop token in every row",
            fix="look at the row with `extune show`",
        )


def require_first_step(model: PreTrainedModel, rows: Sequence[EncodedRow], collator: BatchCollator, losses: Losses) -> bool:
    """Run forward and backward of the largest pack of a batch: it must fit in memory, be finite and teach something.

    Args:
        model: with its adapter, on its device.
        rows: one batch, the longest that training can meet.
        collator: makes the packs.
        losses: as `target_losses`, in the precision of the training.

    Returns:
        Whether every trained weight took part in the loss.
    """
    packs = collator.packs(rows)
    largest = max(packs, key=lambda pack: pack["input_ids"].numel())
    trained: int = sum(parameter.requires_grad for parameter in model.parameters())
    if not trained:
        raise TrainingError(
            "no weight is trainable",
            where="adapter",
            expected="an adapter, or method: full",
            fix="check adapter.target_modules",
        )
    with undisturbed(model):
        model.train()
        try:
            loss = losses(model, largest).mean()
            _require_finite(float(loss.detach()), "the loss of the first batch")
            gradient = gradient_of(model, loss)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            _raise_if_memory(error, largest["input_ids"].numel())
            raise
    # Not every weight needs a gradient (at the start that of LoRA's A is zero, as B is), but some must have one.
    norm = norm_of(gradient)
    _require_finite(norm, "the gradient of the first batch")
    if norm == 0:
        raise TrainingError(
            "the gradient of every trained weight is zero",
            where="adapter",
            expected="a loss that depends on the trained weights",
            fix="check that adapter.target_modules names layers that the model uses",
        )
    return len(gradient) == trained


def _require_finite(value: float, name: str) -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"{name} is {value}",
            where="base.model",
            expected="a finite number",
            fix="check the base's weight files; try base.dtype=float32",
        )


def _raise_if_memory(error: BaseException, tokens: int) -> None:
    """Turn the ways in which torch reports full memory into one error; on a CPU it is a plain RuntimeError."""
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate" in str(error)
    if is_memory:
        raise TrainingError(
            f"the longest pack, {tokens} tokens, does not fit in memory",
            where="training",
            expected="room for its activations and gradients",
            fix="training.gradient_checkpointing=true, a smaller prompt.max_input_tokens, or a smaller base",
        ) from error


def packing_obstacle(model: PreTrainedModel, longest: int | None = None) -> str | None:
    """Why packs cannot work with this model, as far as its code and configuration say; None where nothing is in the way.

    Args:
        model: with its adapter.
        longest: tokens of the longest row, learned ones included: layers that look back as far see the whole row. None: any.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = inner.config.get_text_config()
    adapter = getattr(model, "active_peft_config", None)
    if adapter is not None and adapter.is_prompt_learning and adapter.peft_type != PeftType.PREFIX_TUNING:
        return "peft gives tokens behind the embeddings of virtual tokens no positions of their own"
    if getattr(inner, "_is_stateful", False):
        return "some layers keep a state instead of attending"
    if not getattr(inner, "_supports_attention_backend", False):
        return "the architecture does not use transformers' attention interface"
    if reason := _short_sighted_layers(config, longest):
        return reason
    taken = inspect.signature(inner.forward).parameters
    if "position_ids" not in taken or not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return "the architecture takes no positions or hands nothing down to its attention"
    return None


def _short_sighted_layers(config: PreTrainedConfig, longest: int | None) -> str | None:
    """Which layers would not see all of a row of this length, as far as the configuration says."""
    window = getattr(config, "sliding_window", None)
    layers = set(getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"])
    if other := layers - {"full_attention", "sliding_attention"}:
        return "some layers do not attend to the whole sequence: " + ", ".join(sorted(other))
    if "sliding_attention" in layers and not (window and longest and longest <= window):
        return f"some layers do not attend to the whole sequence, but to {window} tokens"
    return None


def to_device(pack: Any, device: torch.device) -> Any:
    """The pack with its tensors on `device`."""
    return send_to_device(pack, device)
