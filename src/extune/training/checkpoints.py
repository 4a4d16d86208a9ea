"""Checkpoints of a training, under the Trainer's names. In: their folder. Out: which of them is whole, and its step."""

from __future__ import annotations

import json
from pathlib import Path


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None. The Trainer writes `trainer_state.json` last."""
    found = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    return next((path for path in found if _is_complete(path / "trainer_state.json")), None)


def step_of(checkpoint: Path) -> int:
    """The optimizer step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(state: Path) -> bool:
    try:
        return "global_step" in json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
