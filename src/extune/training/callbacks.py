"""What happens beside the optimisation: the log file, speed, progress bar, resuming, and a clean stop on Ctrl-C and SIGTERM.

In: the Trainer's events. Out: `log.jsonl`, lines on a terminal, wishes to save and stop. It knows nothing about models.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from peft import PeftModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from extune.files import write_text
from extune.models.adapters import load_prompt_encoder
from extune.training.checkpoints import find_damage
from extune.training.processes import any_process

_LOG = logging.getLogger(__name__)


class Speed:
    """Rows and targets per second of what is measured; nothing else counts.

    Args:
        clock: seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.all_rows, self.all_seconds = 0, 0.0
        self._reset()

    @contextmanager
    def measure(self, rows: int, targets: int) -> Iterator[None]:
        """Count a batch and the time that the block takes."""
        start = self.clock()
        yield
        self.count(rows, targets, self.clock() - start)

    def count(self, rows: int, targets: int, seconds: float) -> None:
        """Count what took so long."""
        self.seconds += seconds
        self.rows += rows
        self.targets += targets
        self.all_seconds += seconds
        self.all_rows += rows

    def read(self) -> dict[str, float]:
        """`rows_per_second` and `target_tokens_per_second` since the last reading; counting starts anew."""
        seconds = max(self.seconds, 1e-9)
        speeds = {"rows_per_second": self.rows / seconds, "target_tokens_per_second": self.targets / seconds}
        self._reset()
        return speeds

    @property
    def overall(self) -> float | None:
        """Rows per second of all that was measured, whatever was read; None before the first row."""
        return self.all_rows / max(self.all_seconds, 1e-9) if self.all_rows else None

    def _reset(self) -> None:
        self.rows = self.targets = 0
        self.seconds = 0.0


class LogCallback(TrainerCallback):  # type: ignore[misc]
    """One JSON object per line: `step`, `epoch` and what was measured there; scores of the dev set begin with `dev_`.

    A resumed training continues the file: lines after the checkpoint's step, which will be trained again, are removed first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Keep the lines up to the step where training begins."""
        if not state.is_world_process_zero:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines() if state.global_step and self.path.exists() else []
        kept = [line for line in lines if _step_of(line) <= state.global_step]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def on_step_end(self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Log the last step too, so that the file ends where the training ends."""
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write one line; the Trainer's own summary at the end is not one."""
        values = dev_names(logs or {})
        if not state.is_world_process_zero:
            return
        if "loss" not in values and not any(name.startswith("dev_") for name in values):
            return
        line = {"step": state.global_step, "epoch": state.epoch, **values}
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def dev_names(logs: Mapping[str, float]) -> dict[str, float]:
    """The Trainer calls scores `eval_...`; extune's files and words say `dev_...`."""
    return {("dev_" + name[5:] if name.startswith("eval_") else name): value for name, value in logs.items()}


def _step_of(line: str) -> float:
    """The step of a log line; infinity for one that was torn by a kill."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """A bar with steps, loss, rows and targets per second and the time that is left; dev scores are printed above it."""

    def __init__(self, console: Console) -> None:
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(),
            console=console,
        )

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Show the bar, at the step where training begins."""
        self.task = self.bar.add_task("", total=state.max_steps, completed=state.global_step, values="")
        self.bar.start()

    def on_step_end(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=state.global_step)

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show the latest loss and speeds, or print the dev scores."""
        values = dev_names(logs or {})
        if "loss" in values:
            text = "loss {loss:.4f}  {rows_per_second:.1f} rows/s  {target_tokens_per_second:.0f} targets/s".format(**values)
            self.bar.update(self.task, values=text)
        rate = values.pop("dev_rows_per_second", None)
        scores = [f"{name} {value:.4f}" for name, value in values.items() if name.startswith("dev_")]
        if scores and rate is not None:
            scores.append(f"{rate:.1f} dev rows/s")
        if scores:
            self.bar.console.print(f"step {state.global_step}  {'  '.join(scores)}", highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was, also after an error."""
        self.bar.stop()


class InterruptCallback(TrainerCallback):  # type: ignore[misc]
    """Ctrl-C or SIGTERM ends training after the running step, with a checkpoint; a second Ctrl-C ends it at once.

    A KeyboardInterrupt in the middle of a step could leave half-updated weights, which must not be saved.
    """

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the first signal inside the block. Only the main thread can; elsewhere Python's own handling stays."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._first) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _first(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - what signal handlers are given
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_step_end(self, args: TrainingArguments, _state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask the Trainer to save and stop; processes that train together stop after the same step."""
        self.requested = any_process(self.requested, args.device)
        if self.requested:
            control.should_save = control.should_training_stop = True


class ResumeCallback(TrainerCallback):  # type: ignore[misc]
    """On resuming, puts right what the Trainer's own checkpoint does not hold.

    That is p_tuning's network, of which peft saves only the embeddings that it made, and where the best checkpoint lies now:
    its place is stored as a path, and the run may have been moved or copied since.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint

    def on_train_begin(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        model: PreTrainedModel | PeftModel,
        **_: Any,
    ) -> None:
        """The Trainer has loaded the rest of the checkpoint by now."""
        load_prompt_encoder(model, self.checkpoint)
        if not state.best_global_step:
            return
        best = self.checkpoint.with_name(f"checkpoint-{state.best_global_step}")
        damage = find_damage(best) if best.is_dir() else "it is missing"
        if damage is None:
            state.best_model_checkpoint = str(best)
            return
        _LOG.warning("%s had the best dev score, but %s: the best is chosen among later ones", best, damage)
        state.best_model_checkpoint = state.best_global_step = state.best_metric = None
