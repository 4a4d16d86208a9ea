"""The first batch is computed twice: a fast path that differs from the plain one is not taken.

In: a model and rows. Out: None, or by how much they differ; and how many logits may be kept apart from the others. Weights,
gradients, mode and random state are left as they were. It knows nothing about the Trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from extune.tokens.encode import EncodedRow
from extune.training.batches import MOST_LOGITS, BatchCollator, target_losses
from extune.training.gradients import gradient_of, norm_of
from extune.training.packed_attention import packed_attention_in
from extune.training.precision import computing
from extune.training.preflight import to_device, undisturbed


class Distance(NamedTuple):
    """Relative distances between what two paths compute for the same rows: of the targets' losses, and of the gradient."""

    loss: float
    gradient: float


MOST = {
    torch.float32: Distance(1e-4, 1e-3),
    torch.bfloat16: Distance(3e-2, 1e-1),
    torch.float16: Distance(1e-2, 3e-2),
}
"""By the coarsest dtype that the model computes in. On the embedded base and on 24 random layers, with LoRA, the distances were
at most 2e-7 and 6e-7 in float32, 3e-3 and 2e-2 in bfloat16; one row that sees another gives more than 0.1."""

ANY_SIZE = 1 << 30
PACKS = BatchCollator("shared_prefix", ANY_SIZE)
SPANS = BatchCollator("shared_prefix", ANY_SIZE, layout="spans")
_ROWS, _LOGITS = BatchCollator("plain", ANY_SIZE), BatchCollator("off", ANY_SIZE)
_LARGE = 100.0
_TOLD = 300
"""Characters of an error's text that the log gets."""


def packing_difference(
    model: PreTrainedModel,
    rows: Sequence[EncodedRow],
    device: torch.device,
    way: BatchCollator = PACKS,
    *,
    autocast: bool = False,
) -> str | None:
    """How loss and gradient of one pack of these rows differ from those of the rows one at a time; None where they agree.

    Dropout is off for both.

    Args:
        model: with its adapter.
        rows: of the first pack.
        device: of the model.
        way: how packs are to be computed.
        autocast: both multiply in bfloat16, as training will, instead of in the weights' dtype.
    """
    with undisturbed(model):
        _evaluate(model)
        with packed_attention_in(model):
            packed_N, difference = _loss_and_gradient(model, rows, way, device, autocast=autocast)
        norm = norm_of(difference)
        plain = []
        for row in rows:
            losses_N, gradient = _loss_and_gradient(model, [row], _ROWS, device, autocast=autocast)
            plain.append(losses_N)
            for name, part in gradient.items():
                difference[name] = difference[name] - part if name in difference else -part
    plain_N = torch.cat(plain)
    found = Distance(float((packed_N - plain_N).norm() / plain_N.norm()), norm_of(difference) / norm if norm else 0.0)
    most = MOST[torch.bfloat16] if autocast else _most(model)
    if found.loss <= most.loss and found.gradient <= most.gradient:  # false where one is not a number
        return None
    return (
        f"on the first pack, {len(rows)} rows, the loss is {packed_N.mean():.6g} packed and {plain_N.mean():.6g} one row at a"
        f" time; relative differences: losses {found.loss:.2g} (at most {most.loss:g}), gradient {found.gradient:.2g} (at most"
        f" {most.gradient:g})"
    )


def spans_obstacle(
    model: PreTrainedModel, rows: Sequence[EncodedRow], device: torch.device, way: BatchCollator = SPANS, *, autocast: bool
) -> str | None:
    """Why FlexAttention is not to be used: it does not run with this model here, or computes something else; None: nothing.

    Head sizes, number formats, dropout of the attention, a missing compiler: what it cannot do is found by doing it.
    """
    try:
        with undisturbed(model), packed_attention_in(model):
            model.train()  # dropout of the attention shows here only
            _losses(model, rows, way, device, autocast=autocast)
        return packing_difference(model, rows, device, way, autocast=autocast)
    except Exception as error:  # compilers raise errors of all kinds; the text goes to the log
        return f"{type(error).__name__}: {' '.join(str(error).split())[:_TOLD]}"


def answers_difference(model: PreTrainedModel, row: EncodedRow, device: torch.device, *, narrow: bool = False) -> str | None:
    """How the losses of a row differ where only its targets' logits are computed; None where they do not.

    `narrow`: where besides only its targets pass through the last MLP.
    """
    with undisturbed(model), torch.no_grad():
        model.eval()
        every_N, answers_N = (_losses(model, [row], way, device) for way in (_LOGITS, replace(_ROWS, narrow=narrow)))
    difference, most = float((answers_N - every_N).norm() / every_N.norm()), _most(model).loss
    if difference <= most:
        return None
    what = "last MLP is" if narrow else "logits are"
    return f"where only an answer's {what} computed, its losses differ by {difference:.2g} (relative, at most {most:g})"


def most_targets(model: PreTrainedModel) -> int:
    """Targets whose logits are `MOST_LOGITS`."""
    return max(MOST_LOGITS // int(model.config.get_text_config().vocab_size), 1)


def targets_at_once(model: PreTrainedModel, row: EncodedRow, device: torch.device) -> int | None:
    """How many targets' logits are kept together; None: all, since the model changes logits behind its head.

    Such a change (a cap, a scale) shows where logits are large: here the head's are multiplied.
    """
    head = model.get_output_embeddings()
    if head is None:
        return None
    (pack,) = _ROWS.packs([row])
    pack = to_device(pack, device)
    handle = head.register_forward_hook(lambda _module, _inputs, logits: _LARGE * logits)
    try:
        with undisturbed(model), torch.no_grad():
            model.eval()
            together_N, apart_N = (target_losses(model, {**pack, "at_once": size}) for size in (len(pack["labels"]), 1))
    finally:
        handle.remove()
    same = (together_N - apart_N).norm() <= _most(model).loss * together_N.norm()
    return most_targets(model) if same else None


def _evaluate(model: PreTrainedModel) -> None:
    """No dropout; but layers whose activations are computed again in training are so here, else memory may not suffice."""
    model.eval()
    for part in model.modules():
        if getattr(part, "gradient_checkpointing", False):
            part.training = True


def _losses(
    model: PreTrainedModel, rows: Sequence[EncodedRow], collator: BatchCollator, device: torch.device, *, autocast: bool = False
) -> torch.Tensor:
    (pack,) = collator.packs(rows)
    with computing(device, autocast=autocast):
        return target_losses(model, to_device(pack, device))


def _loss_and_gradient(
    model: PreTrainedModel, rows: Sequence[EncodedRow], collator: BatchCollator, device: torch.device, *, autocast: bool
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The targets' losses, and the gradient of their sum by the names of trained weights that it reaches."""
    losses_N = _losses(model, rows, collator, device, autocast=autocast)
    return losses_N.detach(), gradient_of(model, losses_N.sum())


def _most(model: PreTrainedModel) -> Distance:
    """What rounding may make of the coarsest dtype of the weights, or that in which 4-bit weights are multiplied."""
    quantization = getattr(model.config, "quantization_config", None)
    dtypes = {weight.dtype for weight in model.parameters()} | {getattr(quantization, "bnb_4bit_compute_dtype", torch.float32)}
    return max(MOST[dtype] for dtype in dtypes & MOST.keys())
