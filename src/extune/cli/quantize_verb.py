"""`extune quantize`: parses, prints, and fails where the quantised run loses too much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extune.cli.parity_verb import print_report
from extune.cli.progress import counting_progress, quiet_libraries
from extune.cli.run_verbs import Device, RunPath
from extune.cli.terminal import note, say


def quantize(
    run: RunPath,
    method: Annotated[str, typer.Option(help="awq, gptq (4 bits), int8 (weights and activations), or nf4 (bitsandbytes).")],
    python: Annotated[
        Path | None,
        typer.Option(help="Interpreter of an environment with llm-compressor, for awq, gptq and int8; by default this one."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Training rows to calibrate on, prompts with their answers.")] = 128,
    dtype: Annotated[
        str | None,
        typer.Option(help="Of what stays whole and of computing; by default the run's own, 16 bits for awq and gptq."),
    ] = None,
    split: Annotated[str, typer.Option(help="Compared on this: dev, test, train, or a labelled file.")] = "dev",
    max_drop: Annotated[float, typer.Option(min=0, help="Points of F1 that may be lost; more is exit code 1.")] = 0.5,
    device: Device = None,
) -> None:
    """Hold the weights in 4 or 8 bits, calibrated on the task's own prompts, and say what that costs."""
    quiet_libraries()
    from extune.studies.quantization import hold_against_trained, merge_first, plan_quantization, quantize_as_planned

    plan = plan_quantization(run, method, python, split=split)
    if not plan.is_merged:
        note(f"merging first, into {plan.merged.path}")
        merge_first(plan, device)
    if plan.tools.compressor is not None:
        note(f"quantising with llm-compressor {plan.tools.compressor.version} on {rows} rows; this can take minutes")
    made = quantize_as_planned(plan, rows=rows, dtype=dtype, device=device)
    if plan.tools.compressor is not None:
        seen = made.calibration
        say(f"calibrated on {len(seen.rows)} rows of {seen.split}, {seen.tokens:,} tokens")
    say(f"weights: {made.before / 1e6:,.1f} MB, now {made.after / 1e6:,.1f} MB")
    say(f"wrote {made.run.path}")
    with counting_progress("comparing") as progress:
        report = hold_against_trained(plan, max_drop=max_drop, device=device, progress=progress)
    print_report(report)
    report.require_parity()
    served = "" if plan.tools.compressor is None else f" --engine vllm; vllm serve {made.run.path / 'model'} needs no extune"
    note(f"next: extune predict {made.run.path}{served}")
