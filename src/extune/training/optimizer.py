"""Optimizers beside the Trainer's: LoRA+'s, and the files of one whose states are in pieces. In: a model or an optimizer.

LoRA+ (Hayou et al. 2024, arXiv:2402.12354): the B matrices of LoRA learn faster than A.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from transformers import Trainer, TrainingArguments

from extune.models.pieces import own_part


def build_loraplus_optimizer(model: PeftModel, args: TrainingArguments, ratio: float) -> Optimizer:
    """The optimizer that `args` names, in which B has `ratio` times the learning rate of A."""
    optimizer_class, arguments = Trainer.get_optimizer_cls_and_kwargs(args, model)
    optimizer: Optimizer = create_loraplus_optimizer(
        model,
        optimizer_class,
        loraplus_lr_ratio=ratio,
        loraplus_weight_decay=args.weight_decay,
        **arguments,
    )
    return optimizer


def save_states(optimizer: Optimizer, folder: Path) -> None:
    """Write the states of this process's pieces; it returns when all processes have written theirs."""
    saved = optimizer.state_dict()
    states = {number: {name: _own(value) for name, value in state.items()} for number, state in saved["state"].items()}
    torch.save({**saved, "state": states}, _file_of(folder))
    torch.distributed.barrier()


def load_states(optimizer: Optimizer, folder: Path) -> None:
    """Put back what `save_states` wrote in the process of the same number, of as many."""
    saved = torch.load(_file_of(folder), map_location="cpu", weights_only=True)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, state in saved["state"].items():
        saved["state"][number] = {name: _like(value, weights[number]) for name, value in state.items()}
    optimizer.load_state_dict(saved)


def _file_of(folder: Path) -> Path:
    return folder / f"optimizer_{torch.distributed.get_rank()}.pt"


def _own(value: Any) -> Any:
    return own_part(value) if isinstance(value, torch.Tensor) else value


def _like(value: Any, weight: torch.Tensor) -> Any:
    """A state that has a number for each of the weight's, divided as the weight is; a count of steps stays as it is."""
    if not (isinstance(value, torch.Tensor) and value.dim() and isinstance(weight, DTensor)):
        return value
    own = value.to(weight.device)
    return DTensor.from_local(own, weight.device_mesh, weight.placements, shape=weight.shape, stride=weight.stride())
