"""Rows become trained weights: Hugging Face's Trainer with extune's batches, order, dev scores and log.

In: a model with its adapter, encoded rows, the recipe's sections, a callable that scores the dev set. Out: the best weights in
the model, checkpoints (under the Trainer's own names, such as `checkpoint-400`, by which it finds, rotates and resumes them)
and `log.jsonl` in the run directory. It knows nothing about text, tasks and prompts.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, Trainer, TrainerControl, TrainingArguments
from transformers.utils import logging as transformers_logging

from extune.errors import TrainingError
from extune.models.adapters import load_prompt_encoder, save_prompt_encoder
from extune.models.quantize import require_bitsandbytes
from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.callbacks import InterruptCallback, LogCallback, ProgressCallback, PromptEncoderCallback, Speed
from extune.training.checkpoints import last_checkpoint, step_of
from extune.training.compiling import compile_layers, compiling_obstacle
from extune.training.data_order import LengthGroupedOrder
from extune.training.memory_plan import plan_pack_tokens
from extune.training.optimizer import build_loraplus_optimizer
from extune.training.packed_attention import packed_attention_in
from extune.training.precision import computing
from extune.training.preflight import (
    packing_difference,
    packing_obstacle,
    require_first_step,
    require_rows,
    to_device,
    undisturbed,
)

ScoreDev = Callable[[], Mapping[str, float]]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSetup:
    """What the recipe says about one training.

    Attributes:
        autocast: multiply in bfloat16, from `choose_precision`.
        max_pack_tokens: None plans it from the free memory.
        loraplus_lr_ratio: learning rate of LoRA's B over that of A; None: one rate for all.
        compiled: train through compiled layers where that is possible.
    """

    training: TrainingSection
    selection: SelectionSection
    autocast: bool = False
    max_pack_tokens: int | None = None
    loraplus_lr_ratio: float | None = None
    compiled: bool = False

    @property
    def metric(self) -> str:
        """Which figure of `score_dev` chooses the checkpoint; F1 where nobody chose."""
        return self.selection.metric or "f1"


@dataclass(frozen=True)
class TrainingResult:
    """What a training did.

    Attributes:
        best_step, best_score: of the weights that are in the model now; the last step and None where no dev set was scored.
        steps: optimizer steps of the whole training, also before it was resumed.
        resumed_from: the step of the checkpoint, 0 for a fresh start.
        seconds: wall time of this call, preflight and dev scoring included.
        packed: whether batches shared their prompt prefix.
        log: `log.jsonl`.
    """

    best_step: int
    best_score: float | None
    steps: int
    resumed_from: int
    seconds: float
    packed: bool
    log: Path


class ExtuneTrainer(Trainer):  # type: ignore[misc]
    """The Trainer with packs instead of tensors as inputs.

    Args:
        setup: whose `autocast` multiplies in bfloat16 while training. The Trainer's own `bf16` would wrap the model's forward,
            and undoing that (accelerate 1.15) takes transformers' own wrappers off too.
        score_dev: predicts and scores the dev set with the model as it is; its keys become `eval_...`.
    """

    control: TrainerControl
    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        rows: Sequence[EncodedRow],
        collator: BatchCollator,
        *,
        setup: TrainingSetup,
        score_dev: ScoreDev | None = None,
    ) -> None:
        # evaluate() is replaced below; the Trainer only insists that there is something to evaluate on
        super().__init__(model=model, args=args, train_dataset=rows, eval_dataset=[], data_collator=collator)
        self.model_accepts_loss_kwargs = True  # makes the Trainer count the targets of a whole step
        self.remove_callback(PrinterCallback)
        self.setup, self.score_dev = setup, score_dev
        self.compiled_view = self._compile() if setup.compiled else None
        self.speed = Speed()

    def _compile(self) -> torch.nn.Module | None:
        reason = compiling_obstacle(self.model, self.args.device, self.accelerator.num_processes)
        if reason is None:
            return compile_layers(self.model)
        _LOG.warning("training runs without compiled layers, more slowly: %s", reason)
        return None

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer of the recipe, with LoRA+'s two learning rates where it asks for them."""
        if self.optimizer is None and self.setup.loraplus_lr_ratio is not None:
            self.optimizer = build_loraplus_optimizer(self.model, self.args, self.setup.loraplus_lr_ratio)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save what can be trained on, also of p_tuning, of which peft saves the result alone."""
        super().save_model(output_dir, _internal_call)
        save_prompt_encoder(self.model, Path(output_dir or self.args.output_dir))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of LengthGroupedOrder, the last partial one included."""
        lengths = [len(row.ids) for row in self.train_dataset]
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=LengthGroupedOrder(lengths, self.args.train_batch_size, self.args.seed),
            collate_fn=self.data_collator,
            generator=torch.Generator(),  # else the loader would draw from the generator that dropout uses
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward of one batch, pack by pack.

        Args:
            model: perhaps wrapped for several processes.
            inputs: what BatchCollator made.
            num_items_in_batch: targets of the whole accumulated step, over all processes.

        Returns:
            The batch's share of the step's loss: shares sum up to the mean over the step's targets.
        """
        model.train()
        if self.compiled_view is not None:
            self.compiled_view.train()
        packs = inputs["packs"]
        total = torch.zeros((), device=self.args.device)
        with self.speed.measure(inputs["rows"], inputs["labels"].numel()):
            for at, pack in enumerate(packs):
                is_last = at == len(packs) - 1
                with nullcontext() if is_last else self.accelerator.no_sync(model):
                    loss = self.compute_loss(model, pack, num_items_in_batch=num_items_in_batch)
                    self.accelerator.backward(loss)
                total += loss.detach()
        return total

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Summed cross-entropy of a pack over the targets of the whole step."""
        if return_outputs or num_items_in_batch is None:
            raise NotImplementedError("only training_step computes losses, and it counts the targets")
        with computing(self.args.device, autocast=self.setup.autocast):
            total: torch.Tensor = target_losses(self.compiled_view or model, inputs).sum()
        processes: int = self.accelerator.num_processes  # gradients are averaged over them, but their targets were summed
        return total * processes / num_items_in_batch

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the dev set by prediction; training continues as if it had not happened."""
        if self.score_dev is None:
            raise NotImplementedError("there is no dev set")
        with undisturbed(self.model), torch.no_grad():
            self.model.eval()
            self.model.config.use_cache = True
            scores = {f"eval_{name}": float(value) for name, value in self.score_dev().items()}
        self.log(dict(scores))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the speeds to training lines, and refuse to go on with a loss that is not a number."""
        if "loss" in logs:
            logs.update(self.speed.read())
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"the loss became {logs['loss']} at or before step {self.state.global_step}",
                    where="training.learning_rate",
                    expected="a finite loss",
                    fix="lower training.learning_rate, or resume from an earlier checkpoint with base.dtype=float32",
                )
        super().log(logs, start_time)


def train_model(
    model: PreTrainedModel,
    rows: Sequence[EncodedRow],
    setup: TrainingSetup,
    out: Path,
    *,
    score_dev: ScoreDev | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> TrainingResult:
    """Train `model` in place; afterwards it holds the best weights, in evaluation mode.

    Args:
        model: on any device, trainable weights in float32.
        rows: from `Encoder.encode_rows`.
        setup: what the recipe says.
        out: the run directory; `log.jsonl` and `checkpoints/` are written there.
        score_dev: None trains without dev scores and keeps the last weights.
        resume: continue from the last complete checkpoint; from the beginning where there is none.
        console: shows a progress bar; None shows nothing.

    Raises:
        TrainingError: the training cannot start or its loss is not finite.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint saved.
    """
    start = time.perf_counter()
    require_rows(rows)
    args = build_arguments(setup, out / "checkpoints", len(rows), scored=score_dev is not None)
    model.to(args.device)
    collator = _prepare(model, rows, setup, args)
    trainer = ExtuneTrainer(model, args, rows, collator, setup=setup, score_dev=score_dev)
    checkpoint = last_checkpoint(out / "checkpoints") if resume else None
    interrupt, log = InterruptCallback(), LogCallback(out / "log.jsonl")
    bar = ProgressCallback(console) if console else None
    restoring = PromptEncoderCallback(checkpoint) if checkpoint else None
    for callback in (log, interrupt, bar, restoring, _early_stopping(setup.selection, score_dev)):
        if callback:
            trainer.add_callback(callback)
    try:
        with interrupt.listening(), _packed(model, collator), _model_restored(model, args), _no_foreign_bars():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        if bar:
            bar.close()
    if interrupt.requested:
        raise KeyboardInterrupt
    if trainer.state.best_model_checkpoint is not None:
        load_prompt_encoder(model, Path(trainer.state.best_model_checkpoint))
    return TrainingResult(
        best_step=trainer.state.best_global_step or trainer.state.global_step,
        best_score=trainer.state.best_metric,
        steps=trainer.state.global_step,
        resumed_from=step_of(checkpoint) if checkpoint else 0,
        seconds=time.perf_counter() - start,
        packed=collator.packing,
        log=log.path,
    )


def build_arguments(setup: TrainingSetup, checkpoints: Path, rows: int, *, scored: bool) -> TrainingArguments:
    """The Trainer's arguments for this setup. Scores and checkpoints share their steps, so that the best can be kept."""
    training, selection = setup.training, setup.selection
    if training.optim.endswith("8bit"):
        require_bitsandbytes(f"training.optim: {training.optim}")
    steps_per_epoch = math.ceil(math.ceil(rows / training.per_device_train_batch_size) / training.gradient_accumulation_steps)
    every = selection.eval_steps or steps_per_epoch
    return TrainingArguments(
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
        gradient_checkpointing=training.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        seed=training.seed,
        use_cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),  # bf16 on a CPU must be asked for
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


def _prepare(
    model: PreTrainedModel, rows: Sequence[EncodedRow], setup: TrainingSetup, args: TrainingArguments
) -> BatchCollator:
    """Decide how rows are batched, and run the pre-flight checks with it."""
    if args.n_gpu > 1:
        raise TrainingError(
            f"{args.n_gpu} GPUs are visible to one process",
            where="training",
            expected="one GPU per process",
            fix="set CUDA_VISIBLE_DEVICES=0",
        )
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=args.gradient_checkpointing_kwargs)
    batch_size = setup.training.per_device_train_batch_size
    longest = sorted(rows, key=lambda row: len(row.ids), reverse=True)[:batch_size]
    order = iter(LengthGroupedOrder([len(row.ids) for row in rows], batch_size, args.seed))
    first = [rows[at] for at, _ in zip(order, range(batch_size), strict=False)]
    packing = setup.training.packing
    if packing and (reason := packing_obstacle(model) or packing_difference(model, first, args.device)):
        _LOG.warning("training runs without packing, more slowly: %s", reason)
        packing = False
    tokens = setup.max_pack_tokens or plan_pack_tokens(model, longest[0], args.device)
    collator = BatchCollator(packing, tokens)
    losses = partial(_losses_in_precision, device=args.device, autocast=setup.autocast)
    with _packed(model, collator):
        require_first_step(model, longest, collator, losses)
    return collator


def _losses_in_precision(model: PreTrainedModel, pack: dict[str, Any], *, device: torch.device, autocast: bool) -> torch.Tensor:
    with computing(device, autocast=autocast):
        return target_losses(model, to_device(pack, device))


def _packed(model: PreTrainedModel, collator: BatchCollator) -> AbstractContextManager[None]:
    return packed_attention_in(model) if collator.packing else nullcontext()


@contextmanager
def _model_restored(model: PreTrainedModel, args: TrainingArguments) -> Iterator[None]:
    """Take off what training put on the model (checkpointing, no cache), also after an error."""
    try:
        yield
    finally:
        if args.gradient_checkpointing:
            model.gradient_checkpointing_disable()
        model.config.use_cache = True
        model.eval()


@contextmanager
def _no_foreign_bars() -> Iterator[None]:
    """Silence the bar that transformers draws for every file of a checkpoint; it would tear ours."""
    before = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            transformers_logging.enable_progress_bar()


def _early_stopping(selection: SelectionSection, score_dev: ScoreDev | None) -> EarlyStoppingCallback | None:
    if selection.early_stopping_patience is None or score_dev is None:
        return None
    return EarlyStoppingCallback(selection.early_stopping_patience)
