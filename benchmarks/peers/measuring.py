"""What every measured process does alike: reads its job, watches the training, writes what it saw.

In: a job (JSON file named on the command line) and the events of a Trainer. Out: a JSON file with the times at which steps
ended, losses, memory and the rows that were trained. It runs under the Python of each peer, so it may import neither extune
nor its neighbours in this folder but as scripts do.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

IGNORED = -100
_GIB = 2**30
ARGUMENTS: dict[str, Any] = {
    "learning_rate": 1e-4,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch",
    "gradient_accumulation_steps": 1,
    "bf16": True,
    "seed": 17,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "dataloader_pin_memory": False,
}
"""The same optimisation everywhere, as arguments of the Trainer on which all of them are built."""
LORA: dict[str, Any] = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0}
"""On all linear layers. Without dropout, so that the losses can be compared."""


def read_job() -> dict[str, Any]:
    """The job: base, rows and out (paths), folder (for what the framework writes), batch, steps, checkpointing, settings."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return job


def read_rows(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows in the order of the training: prompt and answer (without the stop token) as text, and their ids."""
    return [json.loads(line) for line in Path(job["rows"]).read_text(encoding="utf-8").splitlines()]


def trainer_arguments(job: dict[str, Any]) -> dict[str, Any]:
    """`ARGUMENTS` with what the job says."""
    import torch

    return ARGUMENTS | {
        "output_dir": job["folder"],
        "max_steps": job["steps"],
        "per_device_train_batch_size": job["batch"],
        "gradient_checkpointing": job["checkpointing"],
        "use_cpu": not torch.cuda.is_available(),
    }


def describe_row(prompt: Sequence[int], target: Sequence[int]) -> list[Any]:
    """Length of the prompt, number of targets and a digest of both: equal where the rows are."""
    text = json.dumps([list(prompt), list(target)])
    return [len(prompt), len(target), hashlib.sha256(text.encode()).hexdigest()[:16]]


def find_rows(lines: Iterable[tuple[Sequence[int], Sequence[int]]]) -> list[list[Any]]:
    """The rows of a batch, several to a line where they are packed.

    Args:
        lines: ids and labels of each; a label is `IGNORED` or the id at its place. Targets of one row stand together, and what
            stands before them since the last target, or the beginning of the line, is their prompt. Padding is on the right.

    Returns:
        `describe_row` of each.
    """
    found = []
    for ids, labels in lines:
        start = at = 0
        while at < len(labels):
            if labels[at] == IGNORED:
                at += 1
                continue
            end = at
            while end < len(labels) and labels[end] != IGNORED:
                end += 1
            found.append(describe_row(ids[start:at], labels[at:end]))
            start = at = end
    return found


def join_batches(batches: Sequence[list[list[Any]]], accumulated: int) -> list[list[list[Any]]]:
    """What each optimizer step trains, where it accumulates the gradients of several batches."""
    starts = range(0, len(batches), accumulated)
    return [[row for batch in batches[start : start + accumulated] for row in batch] for start in starts]


class Measurement:
    """What is known of a training, written as JSON by `write`.

    Attributes:
        ends: seconds from the beginning of this process's work to the end of each step.
        losses: of each step.
        batches: `find_rows` of each step.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.began = time.perf_counter()
        self.ends: list[float] = []
        self.losses: list[float] = []
        self.batches: list[list[list[Any]]] = []

    def note_step(self) -> None:
        """A step, the optimizer's included, has ended now."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter() - self.began)

    def write(self) -> None:
        """Write what was seen."""
        import torch

        peak = torch.cuda.max_memory_allocated() / _GIB if torch.cuda.is_available() else read_memory("VmHWM")
        seen = {
            "ends": self.ends,
            "losses": self.losses,
            "batches": self.batches,
            "peak_gib": peak,
            "threads": torch.get_num_threads(),
        }
        Path(self.job["out"]).write_text(json.dumps(seen) + "\n", encoding="utf-8")


def read_memory(name: str) -> float:
    """A line of this process's status in GiB, such as VmHWM, the most that was ever resident. Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / _GIB
    raise ValueError(f"/proc/self/status has no {name}")


def watching(measurement: Measurement) -> Any:
    """A callback for a Trainer. What is in the batches is read before the first step, so that it costs no measured time."""
    from transformers import TrainerCallback

    class Watching(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, _state: Any, _control: Any, **given: Any) -> None:
            batches = []
            for batch in given["train_dataloader"]:
                lines = zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)
                batches.append(find_rows(lines))
            measurement.batches = join_batches(batches, args.gradient_accumulation_steps)

        def on_step_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            measurement.note_step()

        def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in (logs or {}):
                measurement.losses.append(float(logs["loss"]))

    return Watching()
