"""Before the first step and around all of them: how rows are batched, and a model that is given back as it came.

In: a model, rows and the setup. Out: a collator that was tried out, and context managers. It knows nothing about the Trainer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from heapq import nlargest
from typing import Any

import torch
from peft import PeftType
from transformers import PreTrainedModel, TrainingArguments
from transformers.utils import logging as transformers_logging

from extune.errors import TrainingError
from extune.models.adapters import count_virtual_tokens
from extune.models.pieces import count_gathered, has_trained_pieces, is_in_pieces, put_away
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import split_into_packs
from extune.tokens.token_store import row_lengths
from extune.training import span_attention
from extune.training.batches import BatchCollator, target_losses
from extune.training.data_order import LengthGroupedOrder
from extune.training.last_layer import last_mlp
from extune.training.memory_plan import (
    Kept,
    MemoryPlan,
    free_memory,
    measure_row,
    needs_checkpointing,
    plan_memory,
    plan_pack_tokens,
    recorded,
)
from extune.training.memory_shares import Shares, shares_of
from extune.training.packed_attention import packed_attention_in
from extune.training.precision import computing
from extune.training.preflight import packing_obstacle, require_first_step, to_device
from extune.training.processes import any_process, smallest, this_process
from extune.training.proof import (
    ANY_SIZE,
    answers_difference,
    most_targets,
    packing_difference,
    spans_obstacle,
    targets_at_once,
)
from extune.training.setup import TrainingSetup

_LOG = logging.getLogger(__name__)


def plan_batches(
    model: PreTrainedModel, rows: Sequence[EncodedRow], setup: TrainingSetup, args: TrainingArguments
) -> tuple[BatchCollator, MemoryPlan]:
    """Decide how rows are batched, and run the pre-flight checks with it; what that takes of memory is measured.

    Where the recipe leaves gradient checkpointing to extune, `args` say afterwards whether memory needs it.
    """
    if args.n_gpu > 1:
        raise TrainingError(
            f"{args.n_gpu} GPUs are visible to one process",
            where="training",
            expected="one GPU per process",
            fix="set CUDA_VISIBLE_DEVICES=0",
        )
    batch_size, free = setup.training.per_device_train_batch_size, free_memory(args.device)
    lengths = row_lengths(rows)
    longest = [rows[at] for at in nlargest(batch_size, range(len(rows)), key=lengths.__getitem__)]
    row_kept = measure_row(model, longest[0], args.device)
    if _wants_checkpointing(model, setup, row_kept, args.device):
        args.gradient_checkpointing = True
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=args.gradient_checkpointing_kwargs)
    order = iter(LengthGroupedOrder(lengths, batch_size, args.seed))
    first = [rows[at] for at, _ in zip(order, range(batch_size), strict=False)]
    tokens = setup.max_pack_tokens or plan_pack_tokens(model, longest[0], args.device)
    if is_in_pieces(model):
        tokens = smallest(tokens, args.device)
    at_once = _targets_at_once(model, max(first, key=_targets), max(map(_targets, rows)), args.device)
    spare = longest[-1] if args.world_size > 1 else None
    collator = BatchCollator(setup.training.packing, tokens, spare, at_once)
    collator = _exact(collator, model, setup, longest[0], split_into_packs(first, tokens)[0], args)
    losses = partial(_losses_in_precision, device=args.device, autocast=setup.autocast)
    with packed(model, collator), recorded(model) as kept:
        all_used = require_first_step(model, longest, collator, losses)
    put_away(model)
    if setup.exchanges_every_pack and not all_used:
        raise TrainingError(
            "some trained weights take no part in the loss of the first batch, such as experts that no token was sent to",
            where=f"parallel.strategy: {setup.parallel.strategy}",
            expected="the same gradients in all processes, which exchange them in the order in which they come",
            fix="parallel.strategy=ddp, which looks for what is missing, or other adapter.target_modules",
        )
    args.ddp_find_unused_parameters = not all_used  # looking for them costs a walk through the graph in every step
    largest = max(collator.packs(longest), key=lambda pack: pack["input_ids"].numel())
    row = (row_kept, len(longest[0].ids))
    plan = plan_memory(model, setup.training.optim, kept, row, largest, free, args.gradient_checkpointing)
    return collator, plan.divided(_shares(model, setup), _gathered_bytes(model) if is_in_pieces(model) else 0)


def _gathered_bytes(model: PreTrainedModel) -> int:
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    element: int = next(base.parameters()).element_size()
    return count_gathered(base) * element * (2 if has_trained_pieces(model) else 1)  # and their gradients


def _shares(model: PreTrainedModel, setup: TrainingSetup) -> Shares:
    """What this process holds of all; model and setup know what several of them divide."""
    return shares_of(setup.parallel.strategy, this_process().count, trains_adapter=hasattr(model, "peft_config"))


def _targets_at_once(model: PreTrainedModel, row: EncodedRow, most: int, device: torch.device) -> int | None:
    """How many targets' logits are kept together; `most`: that a row has."""
    if is_in_pieces(model):  # a head that runs apart from its model is in pieces
        at_once, reason = None, "the head's weights are in pieces"
    else:
        at_once, reason = targets_at_once(model, row, device), "the model changes them behind its head"
    if at_once is None and most > most_targets(model):
        _LOG.warning("logits of long answers are not divided, and take more memory: %s", reason)
    return at_once


def _wants_checkpointing(model: PreTrainedModel, setup: TrainingSetup, row_kept: Kept, device: torch.device) -> bool:
    """What the recipe says; where it says nothing, whether memory needs it and nothing is in the way."""
    wanted = setup.training.gradient_checkpointing
    if wanted != "auto":
        return wanted
    needed = any_process(needs_checkpointing(model, setup.training.optim, row_kept, device, _shares(model, setup)), device)
    adapter = getattr(model, "active_peft_config", None)
    takes_prefix = adapter is not None and adapter.peft_type == PeftType.PREFIX_TUNING  # checkpointed layers take none
    return needed and not takes_prefix and not setup.compiled and model.supports_gradient_checkpointing


def _exact(
    wanted: BatchCollator,
    model: PreTrainedModel,
    setup: TrainingSetup,
    longest: EncodedRow,
    first: Sequence[EncodedRow],
    args: TrainingArguments,
) -> BatchCollator:
    """What the recipe wants, or the next slower way where that does not compute the same on the rows of the first pack."""
    device, shortest = args.device, min(first, key=lambda row: len(row.ids))
    if wanted.packing == "off":
        return wanted
    if reason := _agreed(model, answers_difference(model, shortest, device), device):
        _LOG.warning("training computes the logits of every token, more slowly: %s", reason)
        return replace(wanted, packing="off")
    if not args.gradient_checkpointing and not setup.compiled and not is_in_pieces(model) and last_mlp(model) is not None:
        reason = answers_difference(model, shortest, device, narrow=True)
        if reason:
            _LOG.warning("the last layer computes every position, more slowly: %s", reason)
        wanted = replace(wanted, narrow=reason is None)
    return wanted if wanted.packing == "plain" else _exact_packs(wanted, model, setup, longest, first, device)


def _exact_packs(
    wanted: BatchCollator,
    model: PreTrainedModel,
    setup: TrainingSetup,
    longest: EncodedRow,
    first: Sequence[EncodedRow],
    device: torch.device,
) -> BatchCollator:
    """Packs through FlexAttention, through SDPA, or none."""
    reason = packing_obstacle(model, len(longest.ids) + count_virtual_tokens(model))
    first_pack = replace(wanted, max_tokens=ANY_SIZE)
    if reason is None and device.type in span_attention.DEVICES:
        spans = replace(first_pack, layout="spans")
        in_the_way = _untried(model, setup) or spans_obstacle(model, first, device, spans, autocast=setup.autocast)
        if in_the_way is None:
            return replace(wanted, layout="spans")
        _LOG.warning("packs go through SDPA with masks instead of FlexAttention: %s", in_the_way)
    reason = reason or packing_difference(model, first, device, first_pack)
    if reason := _agreed(model, reason, device):
        _LOG.warning("training runs without packing, more slowly: %s", reason)
        return replace(wanted, packing="plain")
    return wanted


def _untried(model: PreTrainedModel, setup: TrainingSetup) -> str | None:
    """Where FlexAttention is not used because it was never tried there."""
    if setup.compiled:
        return "it is not used inside compiled layers (base.compile)"
    return "it is not used on weights in pieces (parallel.strategy: fsdp)" if is_in_pieces(model) else None


def _agreed(model: PreTrainedModel, reason: str | None, device: torch.device) -> str | None:
    """The reason, or that another process has one: processes that hold pieces of one model go the same way."""
    if is_in_pieces(model) and any_process(reason is not None, device):
        return reason or "another process found a difference"
    return reason


def _targets(row: EncodedRow) -> int:
    return len(row.ids) - row.prompt_length


def _losses_in_precision(model: PreTrainedModel, pack: dict[str, Any], *, device: torch.device, autocast: bool) -> torch.Tensor:
    with computing(device, autocast=autocast):
        return target_losses(model, to_device(pack, device))


def packed(model: PreTrainedModel, collator: BatchCollator) -> AbstractContextManager[None]:
    """Attention for packs inside the block, if the collator makes packs."""
    return packed_attention_in(model) if collator.packing == "shared_prefix" else nullcontext()


@contextmanager
def model_restored(model: PreTrainedModel, args: TrainingArguments) -> Iterator[None]:
    """Take off what training put on the model (checkpointing, no cache), also after an error."""
    try:
        yield
    finally:
        if args.gradient_checkpointing:
            model.gradient_checkpointing_disable()
        model.config.use_cache = True
        model.eval()


@contextmanager
def no_foreign_bars() -> Iterator[None]:
    """Silence the bar that transformers draws for every file of a checkpoint; it would tear ours."""
    before = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            transformers_logging.enable_progress_bar()
