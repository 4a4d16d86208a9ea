"""The loss of gold answers under a model, token by token. In: a model and rows. Out: their sum and number.

It knows nothing about optimisation and tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from extune.evaluation.generation_metrics import TargetLoss
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.preflight import to_device

_TOKENS = 4096  # of one batch


def sum_target_losses(model: PreTrainedModel | PeftModel, rows: Sequence[EncodedRow]) -> TargetLoss:
    """Cross-entropy of all target tokens, stop tokens included, in nats; nothing of the model is changed."""
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    try:
        with torch.no_grad():
            for pack in BatchCollator(packing="plain", max_tokens=_TOKENS).packs(rows):
                losses_N = target_losses(model, to_device(pack, model.device))
                total += float(losses_N.double().sum())
                tokens += losses_N.numel()
    finally:
        model.train(was_training)
    return TargetLoss(total, tokens)
