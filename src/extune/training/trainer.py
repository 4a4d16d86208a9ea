"""Rows become trained weights: Hugging Face's Trainer with extune's batches, order, dev scores and log.

In: a model with its adapter, encoded rows, the recipe's sections, a callable that scores the dev set. Out: the best weights in
the model, checkpoints (under the Trainer's own names, such as `checkpoint-400`, by which it finds, rotates and resumes them)
and `log.jsonl` in the run directory. It knows nothing about text, tasks and prompts.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from rich.console import Console
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, Trainer, TrainerControl, TrainingArguments
from transformers.trainer import SCHEDULER_NAME

from extune.errors import TrainingError
from extune.models.adapters import load_prompt_encoder, save_prompt_encoder
from extune.models.pieces import adapter_state, has_trained_pieces, is_in_pieces, load_into_pieces
from extune.recipe.sections import SelectionSection
from extune.tokens.encode import EncodedRow
from extune.tokens.token_store import row_lengths
from extune.training.batches import BatchCollator, target_losses
from extune.training.callbacks import InterruptCallback, LogCallback, ProgressCallback, ResumeCallback, Speed
from extune.training.checkpoints import last_checkpoint, raise_if_unwritable, require_processes, step_of
from extune.training.compiling import compile_layers, compiling_obstacle
from extune.training.data_order import BatchesOfProcess, LengthGroupedOrder
from extune.training.gradients import average_gradients, begin_alike
from extune.training.memory_plan import peak_bytes
from extune.training.optimizer import build_loraplus_optimizer, load_states, save_states
from extune.training.precision import computing
from extune.training.preflight import require_rows, to_device, undisturbed
from extune.training.preparation import model_restored, no_foreign_bars, packed, plan_batches
from extune.training.processes import largest, share_cores
from extune.training.setup import TrainingSetup, build_arguments
from extune.training.tracking import Tracker, build_trackers

ScoreDev = Callable[[], Mapping[str, float]]
"""Predicts and scores the dev set. Figures by their names; `rows`, if it is there, says of how many examples."""

_LOG = logging.getLogger(__name__)
_ATTENTION = {"lines": "sdpa", "spans": "flex"}


@dataclass(frozen=True)
class TrainingResult:
    """What a training did.

    Attributes:
        best_step, best_score: of the weights that are in the model now; the last step and None where no dev set was scored.
        steps: optimizer steps of the whole training, also before it was resumed.
        resumed_from: the step of the checkpoint, 0 for a fresh start.
        seconds: wall time of this call, preflight and dev scoring included.
        packed: whether batches shared their prompt prefix.
        attention: of packs: `flex`, or `sdpa` with a mask; None where nothing was packed.
        train_rows_per_second: in training steps, of this call.
        dev_rows_per_second: while the dev set was predicted and scored; None where it was not.
        log: `log.jsonl`.
        memory: the plan, in bytes; and `measured_peak` of the whole training where the device counts it, else None.
    """

    best_step: int
    best_score: float | None
    steps: int
    resumed_from: int
    seconds: float
    packed: bool
    attention: str | None
    train_rows_per_second: float | None
    dev_rows_per_second: float | None
    log: Path
    memory: dict[str, Any]


class ExtuneTrainer(Trainer):  # type: ignore[misc]
    """The Trainer with packs instead of tensors as inputs.

    Args:
        setup: whose `autocast` multiplies in bfloat16 while training. The Trainer's own `bf16` would wrap the model's forward,
            and undoing that (accelerate 1.15) takes transformers' own wrappers off too.
        score_dev: predicts and scores the dev set with the model as it is; its keys become `eval_...`, and `rows` a speed.
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
        self.speed, self.dev_speed = Speed(), Speed()
        self.in_pieces, self.trains_pieces = is_in_pieces(model), has_trained_pieces(model)
        if self.in_pieces:
            model._is_accelerate_prepared = True  # accelerate (1.15) would refuse it, and there is nothing to wrap
            begin_alike(model)

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
        folder = Path(output_dir or self.args.output_dir)
        if self.trains_pieces:
            self.model.save_pretrained(folder)  # by all processes, and the first one writes
        elif self.in_pieces:
            if self.args.should_save:
                self._save(str(folder), state_dict=adapter_state(self.model))
        else:
            super().save_model(output_dir, _internal_call)
            save_prompt_encoder(self.model, folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        if self.trains_pieces:
            load_into_pieces(self.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if self.trains_pieces:
            load_into_pieces(self.model, Path(self.state.best_model_checkpoint))
        else:
            super()._load_best_model()

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.optimizer is None or not self.trains_pieces:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        save_states(self.optimizer, Path(output_dir))
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self.optimizer is None or not self.trains_pieces:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        load_states(self.optimizer, Path(checkpoint))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of LengthGroupedOrder, the last partial one included, each shared out among the processes."""
        count = self.args.world_size
        order = LengthGroupedOrder(row_lengths(self.train_dataset), self.args.train_batch_size * count, self.args.seed)
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=BatchesOfProcess(order, self.args.process_index, count),
            collate_fn=self.data_collator,
            generator=torch.Generator(),  # else the loader would draw from the generator that dropout uses
        )
        # every process has its share already; accelerate's own sharing would train some rows twice to even the batches out
        prepared: DataLoader[Any] = prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
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
        packs, targets = self._as_many_as_others(inputs["packs"]), inputs["labels"].numel()
        own = len(inputs["packs"]) if targets else 0
        total = torch.zeros((), device=self.args.device)
        processes = self.accelerator.num_processes
        with self.speed.measure(inputs["rows"] * processes, targets * processes):
            for at, pack in enumerate(packs):
                is_last = at == len(packs) - 1
                with nullcontext() if is_last or self.setup.exchanges_every_pack else self.accelerator.no_sync(model):
                    loss = self.compute_loss(model, pack, num_items_in_batch=num_items_in_batch)
                    if at >= own:  # no row was left for this process, but the others wait for its gradients
                        loss = loss * 0
                    self._backward(loss, ends_batch=is_last)
                total += loss.detach()
            if self.in_pieces and self.accelerator.sync_gradients:
                average_gradients(self.model)
        return total

    def _as_many_as_others(self, packs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The packs; filled up to the number of the process with most where processes meet at every pack."""
        if not self.setup.exchanges_every_pack:
            return packs
        missing = largest(len(packs), self.args.device) - len(packs)
        return packs + [to_device(self.data_collator.spare_pack(), self.args.device)] * missing

    def _backward(self, loss: torch.Tensor, *, ends_batch: bool) -> None:
        """Add to the gradients; DeepSpeed also makes the optimizer's step where a batch ends the accumulation."""
        if not self.is_deepspeed_enabled:
            self.accelerator.backward(loss)
            return
        steps = ends_batch and self.accelerator.sync_gradients
        self.accelerator.deepspeed_engine_wrapped.backward(loss, sync_gradients=steps, scale_wrt_gas=False)

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
            start = self.dev_speed.clock()
            figures = dict(self.score_dev())
            self.dev_speed.count(int(figures.pop("rows", 0)), 0, self.dev_speed.clock() - start)
        scores = {f"eval_{name}": float(value) for name, value in figures.items()}
        if self.dev_speed.rows:
            scores["eval_rows_per_second"] = self.dev_speed.read()["rows_per_second"]
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
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with a checkpoint saved.
    """
    start = time.perf_counter()
    require_rows(rows)
    folder = out / "checkpoints"
    args = build_arguments(setup, folder, len(rows), scored=score_dev is not None)
    share_cores(args.device)
    if not is_in_pieces(model):
        model.to(args.device)
    collator, memory = plan_batches(model, rows, setup, args)
    trainer = ExtuneTrainer(model, args, rows, collator, setup=setup, score_dev=score_dev)
    checkpoint = last_checkpoint(folder) if resume else None
    if checkpoint:
        require_processes(checkpoint, args.world_size)
    interrupt, log = InterruptCallback(), LogCallback(out / "log.jsonl")
    _LOG.info("%s", memory)
    if console and trainer.is_world_process_zero():
        console.print(f"{memory}; {memory.free / (1 << 30):.2f} GiB were free", highlight=False)
    bar = ProgressCallback(console) if console and trainer.is_world_process_zero() else None
    resuming = ResumeCallback(checkpoint) if checkpoint else None
    trackers = build_trackers(setup.tracking, out, out.name)
    for callback in (log, interrupt, bar, resuming, _early_stopping(setup.selection, score_dev), *trackers):
        if callback:
            trainer.add_callback(callback)
    _run(trainer, collator, interrupt, checkpoint, [one for one in (*trackers, bar) if one])
    _tell_speeds(trainer, console)
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
        packed=collator.packing == "shared_prefix",
        attention=_ATTENTION[collator.layout] if collator.packing == "shared_prefix" else None,
        train_rows_per_second=trainer.speed.overall,
        dev_rows_per_second=trainer.dev_speed.overall,
        log=log.path,
        memory=memory.to_json() | {"measured_peak": peak_bytes(args.device)},
    )


def _run(
    trainer: ExtuneTrainer,
    collator: BatchCollator,
    interrupt: InterruptCallback,
    checkpoint: Path | None,
    closing: Sequence[Tracker | ProgressCallback],
) -> None:
    """Train to the end, or to an error or interruption; what draws or sends is closed in any case."""
    model, args = trainer.model, trainer.args
    try:
        with interrupt.listening(), packed(model, collator), model_restored(model, args), no_foreign_bars():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except Exception as error:
        raise_if_unwritable(error, Path(args.output_dir))
        raise
    finally:
        for one in closing:
            one.close()


def _tell_speeds(trainer: ExtuneTrainer, console: Console | None) -> None:
    """How fast rows were trained and dev rows scored; that the latter took longer is a warning."""
    trained, scored = trainer.speed.overall, trainer.dev_speed.overall
    if trained is None or not trainer.is_world_process_zero():
        return
    told = f"trained {trained:.1f} rows/s" + ("" if scored is None else f", predicted and scored {scored:.1f} dev rows/s")
    _LOG.info("%s", told)
    if console:
        console.print(told, highlight=False)
    if scored is not None and scored < trained:
        _LOG.warning(
            "a dev row took longer than a training row (%.1f and %.1f rows/s): selection.dev_limit scores fewer of them,"
            " selection.eval_steps scores them less often",
            scored,
            trained,
        )


def _early_stopping(selection: SelectionSection, score_dev: ScoreDev | None) -> EarlyStoppingCallback | None:
    if selection.early_stopping_patience is None or score_dev is None:
        return None
    return EarlyStoppingCallback(selection.early_stopping_patience)
