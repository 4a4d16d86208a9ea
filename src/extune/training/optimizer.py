"""LoRA+ (Hayou et al. 2024, arXiv:2402.12354): the B matrices of LoRA learn faster than A. In: a model. Out: its optimizer."""

from __future__ import annotations

from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from torch.optim import Optimizer
from transformers import Trainer, TrainingArguments


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
