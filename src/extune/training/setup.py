"""What a recipe says about one training, and the same as the Trainer's arguments. It knows no model and no data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import TrainingArguments

from extune.models.quantize import require_bitsandbytes
from extune.recipe.sections import ParallelSection, SelectionSection, TrackingSection, TrainingSection
from extune.training.processes import this_process
from extune.training.zero import deepspeed_config, form_group_of_cpus, pieces_of, zero_stage


@dataclass(frozen=True)
class TrainingSetup:
    """What the recipe says about one training.

    Attributes:
        autocast: multiply in bfloat16, from `choose_precision`.
        max_pack_tokens: None plans it from the free memory.
        loraplus_lr_ratio: learning rate of LoRA's B over that of A; None: one rate for all.
        compiled: train through compiled layers where that is possible.
        tracking: whom to tell besides `log.jsonl`.
        parallel: what several processes divide.
    """

    training: TrainingSection
    selection: SelectionSection
    autocast: bool = False
    max_pack_tokens: int | None = None
    loraplus_lr_ratio: float | None = None
    compiled: bool = False
    tracking: TrackingSection = field(default_factory=TrackingSection)
    parallel: ParallelSection = field(default_factory=ParallelSection)

    @property
    def zero_stage(self) -> int:
        """What the processes of this training divide; 0: nothing but the rows."""
        return zero_stage(self.parallel)

    @property
    def exchanges_every_pack(self) -> bool:
        """Whether processes wait for each other at every pack, and not once a step."""
        return self.zero_stage > 0 or pieces_of(self.parallel) > 1

    @property
    def metric(self) -> str:
        """Which figure of `score_dev` chooses the checkpoint; F1 where nobody chose."""
        return self.selection.metric or "f1"


class ExtuneArguments(TrainingArguments):  # type: ignore[misc]
    """The Trainer's arguments, whose device can be loaded to.

    With several processes accelerate numbers CPUs too, but torch (2.13) restores no checkpoint to `cpu:0`.
    """

    @property
    def device(self) -> torch.device:
        """Of this process."""
        device: torch.device = super().device
        return torch.device("cpu") if device.type == "cpu" else device

    @property
    def place_model_on_device(self) -> bool:
        """The model is there already."""
        return False


def build_arguments(setup: TrainingSetup, checkpoints: Path, rows: int, *, scored: bool) -> ExtuneArguments:
    """The Trainer's arguments for this setup. Scores and checkpoints share their steps, so that the best can be kept."""
    training, selection = setup.training, setup.selection
    if training.optim.endswith("8bit"):
        require_bitsandbytes(f"training.optim: {training.optim}")
    on_cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    stage = setup.zero_stage
    if stage and on_cpu:
        form_group_of_cpus()
    together = training.per_device_train_batch_size * this_process().count
    steps_per_epoch = math.ceil(math.ceil(rows / together) / training.gradient_accumulation_steps)
    every = selection.eval_steps or steps_per_epoch
    return ExtuneArguments(
        output_dir=str(checkpoints),
        learning_rate=training.learning_rate,
        num_train_epochs=training.num_train_epochs,
        max_steps=training.max_steps,
        per_device_train_batch_size=training.per_device_train_batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        lr_scheduler_type=training.lr_scheduler_type,
        warmup_steps=training.warmup_ratio,  # below 1 it is a share of the steps
        optim=training.optim,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        gradient_checkpointing=training.gradient_checkpointing is True,  # auto is decided when the model is here
        gradient_checkpointing_kwargs={"use_reentrant": False},
        seed=training.seed,
        use_cpu=on_cpu and not stage,  # bf16 on a CPU must be asked for; DeepSpeed is not used where this is said
        accelerator_config={"use_configured_state": bool(stage and on_cpu)},
        deepspeed=deepspeed_config(stage, autocast=setup.autocast) if stage else None,
        logging_steps=training.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if scored else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=selection.save_total_limit + (1 if scored else 0),
        load_best_model_at_end=scored,
        metric_for_best_model=f"eval_{setup.metric}",
        greater_is_better=setup.metric != "loss",
        restore_callback_states_from_checkpoint=True,  # patience goes on counting after a resume
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
