"""`extune export`: a run for other programs. In: a run. Out: text that needs no extune."""

from __future__ import annotations

from pathlib import Path

from extune.errors import RecipeError
from extune.models.checkpoint import load_run_tokenizer
from extune.predicting.snippet import write_snippet
from extune.runs.run_dir import RunDir

TARGETS = ("snippet",)


def export(run: Path, to: str) -> str:
    """What `to` calls for: `snippet` is a program for transformers (and peft) that asks the model as extune does.

    Args:
        run: finished; a path of the program's own is as this one.
        to: one of `TARGETS`.

    Raises:
        RecipeError: an unknown `to`.
        RunError: the run cannot be used in this way, or is not whole.
    """
    if to not in TARGETS:
        raise RecipeError(
            f"unknown target {to!r}", where="--to", expected="one of " + ", ".join(TARGETS), fix=f"--to {TARGETS[0]}"
        )
    contract = RunDir(run).contract()
    return write_snippet(load_run_tokenizer(run, contract), contract, str(run))
