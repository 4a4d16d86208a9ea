"""Verbs that make something else out of a run: merge, export. They change how it is stored, never what the contract asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from extune.cli.progress import quiet_libraries
from extune.cli.run_verbs import Device, RunPath
from extune.cli.terminal import note, say


def merge(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The new run; by default variants/merged inside RUN.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; by default the run's own.")] = None,
    device: Device = None,
) -> None:
    """Put the adapter of a run into its base's weights; logits and predictions are compared first."""
    quiet_libraries()
    from extune.stages.merge import merge as merge_run

    merged = merge_run(run, out, dtype=dtype, device=device)
    found, rows = merged.agreement, "made sentences" if merged.made else "dev examples"
    say(
        f"logits differ by {found.difference:.1e}, at most {found.tolerance:g} ({merged.dtype}); the adapter changes them by "
        f"{found.effect:.1e}; the predictions of {merged.examples} {rows} are equal"
    )
    say(f"wrote {merged.run.path}")
    note(f"next: extune parity {run}; {merged.run.path} is a run, and {merged.run.path / 'model'} loads in plain transformers")


def export(
    run: RunPath,
    to: Annotated[str, typer.Option(help="snippet: a program for transformers (and peft) that needs no extune.")] = "snippet",
) -> None:
    """Print what uses a run without extune."""
    quiet_libraries()
    from extune.stages.export import export as export_run

    sys.stdout.write(export_run(run, to))  # a program is printed as it is
    note("next: save it as FILE.py and run `python FILE.py TEXT`; it decodes freely, without grammar, windows and offsets")
