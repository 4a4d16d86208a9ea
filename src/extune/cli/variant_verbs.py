"""Verbs that make something else out of a run: merge, export. They change how it is stored, never what the contract asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extune.cli.progress import quiet_libraries
from extune.cli.run_verbs import Device, RunPath
from extune.cli.terminal import note, say
from extune.errors import RecipeError

if TYPE_CHECKING:
    from extune.runs.run_dir import RunDir


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
    to: Annotated[
        str,
        typer.Option(
            help="snippet: a program for transformers (and peft); gguf: a folder for llama.cpp; ollama: one for Ollama."
        ),
    ] = "snippet",
    out: Annotated[
        Path | None, typer.Option(help="The new folder of gguf or ollama; by default exports/... inside RUN.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of gguf or ollama: float32, bfloat16 or float16; by default the run's own.")
    ] = None,
    device: Device = None,
) -> None:
    """Make what uses a run without extune. An adapter is merged first where gguf or ollama need it."""
    quiet_libraries()
    from extune.stages.export import FOLDERS, export_folder, export_snippet, require_target
    from extune.stages.merge import merge as merge_run

    require_target(to)
    if to not in FOLDERS:
        if out is not None or dtype is not None:
            raise RecipeError(
                f"{to} is printed, it has no folder and no dtype",
                where="--out, --dtype",
                expected="them with --to " + " or ".join(FOLDERS),
                fix=f"extune export {run} > ask.py",
            )
        sys.stdout.write(export_snippet(run))  # a program is printed as it is
        note("next: save it as FILE.py and run `python FILE.py TEXT`; it decodes freely, without grammar, windows and offsets")
        return

    def merge_first(adapted: Path) -> RunDir:
        merged = merge_run(adapted, device=device).run
        note(f"wrote {merged.path}: base and adapter in one, compared with the run first")
        return merged

    made = export_folder(run, to, merge_first, out=out, dtype=dtype)
    say(f"wrote {made.path}: {made.bytes / 1e6:.1f} MB, {made.dtype}")
    for limit in made.limits:
        note(f"other than the run: {limit}")
    if to == "ollama":
        note(f"next: ollama create NAME -f {made.path / 'Modelfile'}, then ollama run NAME TEXT; or send request.json")
    else:
        note(f"next: llama-server -m {made.path / 'model.gguf'} takes request.json; prompt.json says what stands around a text")
