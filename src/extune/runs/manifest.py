"""`manifest.json`: where a run comes from. In: the recipe and what was read. Out: one JSON file. Inference never reads it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from extune.files import hash_file, hash_files, write_json

_LIBRARIES = ("extune", "torch", "transformers", "peft", "accelerate", "tokenizers", "llguidance", "safetensors")
_LISTED_SKIPS = 20


@dataclass(frozen=True)
class SplitProvenance:
    """What was read of one split and what became of it.

    Attributes:
        file: as in the recipe; None for examples given in memory.
        sha256: of the file's bytes; None for examples given in memory.
        examples: read, skipped rows not counted.
        gold_spans: of all examples; 0 where the task has no spans.
        encoding: of the file; empty for examples given in memory.
        notes: what the reader had to say.
        skipped: number of rows left out because of `on_bad_row: skip`.
        skipped_rows: `line: reason` of the first 20.
        dropped: ids left out because of `on_too_long: drop`.
        windowed: ids that were cut into windows.
        shortened: ids whose texts lost their middle.
        open_occurrences: mentions whose place in the text the answer format leaves open.
    """

    file: str | None
    sha256: str | None
    examples: int
    gold_spans: int
    encoding: str = ""
    notes: tuple[str, ...] = ()
    skipped: int = 0
    skipped_rows: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    windowed: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()
    open_occurrences: int = 0


def hash_data(path: Path | None) -> str | None:
    """SHA-256 of a data file, or over the files of a folder in order of their names; None for examples given in memory."""
    if path is not None and path.is_dir():
        return hash_files(file for file in sorted(path.rglob("*")) if file.is_file())
    return None if path is None else hash_file(path)


def list_skips(rows: list[tuple[int, str]]) -> tuple[str, ...]:
    """The first 20 of the rows that a reader left out."""
    return tuple(f"{line}: {reason}" for line, reason in rows[:_LISTED_SKIPS])


def now() -> str:
    """The present moment in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_manifest(
    path: Path, *, seed: int, device: str, started: str, splits: dict[str, SplitProvenance], training: dict[str, Any]
) -> None:
    """Write the manifest of a training that ends now.

    Args:
        path: of the manifest.
        seed: of this run.
        device: that it was trained on.
        started: from `now`, before anything was read.
        splits: what was read, by split.
        training: steps, seconds and the like, as the trainer reports them.
    """
    write_json(
        path,
        {
            "started": started,
            "finished": now(),
            "seed": seed,
            "device": device,
            "cpu_count": os.cpu_count(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {name: installed_version(name) for name in _LIBRARIES},
            "data": {name: asdict(split) for name, split in splits.items()},
            "training": training,
        },
    )


def installed_version(name: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
