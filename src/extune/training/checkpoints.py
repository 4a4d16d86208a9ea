"""Checkpoints of a training, under the Trainer's names. In: their folder. Out: which of them is whole, and its step."""

from __future__ import annotations

import errno
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from extune.errors import TrainingError

_LOG = logging.getLogger(__name__)
_STATE = "trainer_state.json"
_NEEDED = {
    "weights": ("*.safetensors",),
    "optimizer": ("optimizer.pt", "optimizer_*.pt", "global_step*/*.pt"),  # FSDP's and DeepSpeed's: a part for each process
    "random states": ("rng_state*.pth",),
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = ("PytorchStreamWriter", *(f"(os error {number})" for number in sorted(_FULL)))
"""How torch and safetensors say that a file could not be written to its end."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, or None. Newer ones that are not are named in the log."""
    for path in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        damage = find_damage(path)
        if damage is None:
            return path
        _LOG.warning("%s is passed over: %s", path, damage)
    return None


def step_of(checkpoint: Path) -> int:
    """The optimizer step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def require_processes(checkpoint: Path, count: int) -> None:
    """Raise a TrainingError where another number of processes wrote the checkpoint: they would train other batches."""
    wrote = max(len(list(checkpoint.glob("rng_state_*.pth"))), 1)
    if wrote != count:
        several = f"--nproc {wrote}, or --nproc and --nnodes with this product"
        raise TrainingError(
            f"was written with {wrote} processes, and here {count} train",
            where=str(checkpoint),
            expected="as many as the training was begun with",
            fix=several if wrote > 1 else "leave out --nproc and --nnodes",
        )


def find_damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None for a whole one: every file that resuming needs is there and can be read.

    The Trainer writes `trainer_state.json` last, so one that was being written when the process was killed has none.
    """
    try:
        whole = "global_step" in json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        whole = False
    if not whole:
        return f"it was not written to its end ({_STATE})"
    for kind, patterns in _NEEDED.items():
        files = sorted(file for pattern in patterns for file in checkpoint.glob(pattern))
        if not files:
            return f"the {kind} are missing" if kind != "optimizer" else "the optimizer is missing"
        for file in files:
            if not _is_readable(file):
                return f"{file.name} is cut off or damaged"
    missing = sorted(set(_shards(checkpoint)) - {file.name for file in checkpoint.iterdir()})
    return f"{missing[0]} is missing" if missing else None


def _is_readable(file: Path) -> bool:
    """A safetensors file whose header and size agree, or one of torch's archives with the right sums."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as weights:
                return bool(weights.keys())
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (OSError, SafetensorError, zipfile.BadZipFile):
        return False


def _shards(checkpoint: Path) -> Iterator[str]:
    for index in checkpoint.glob("*.safetensors.index.json"):
        yield from json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()


def raise_if_unwritable(error: BaseException, folder: Path) -> None:
    """Turn the ways in which libraries report a full disk into one error.

    Raises:
        TrainingError: the error was one of them.
    """
    is_full = isinstance(error, OSError) and error.errno in _FULL
    if not is_full and not any(words in str(error) for words in _FULL_WORDS):
        return
    reason = str(error).strip().splitlines()[0][:200]
    good = last_checkpoint(folder)
    raise TrainingError(
        f"a file could not be written to its end: {reason}",
        where=str(folder),
        expected="room on the disk for a checkpoint",
        fix=f"make room, then go on from {good.name} with --resume" if good else "make room, then train again",
    ) from error
