"""The verb `calibrate`: what a run's confidences are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extune.cli.progress import counting_progress, quiet_libraries
from extune.cli.run_verbs import Device, EngineName, RunPath
from extune.cli.terminal import note, say

if TYPE_CHECKING:
    from extune.evaluation.calibration import Selection
    from extune.evaluation.reliability import Reliability


def calibrate(
    run: RunPath,
    max_risk: Annotated[
        float, typer.Option(help="Share of the kept items that may be wrong, for --min-confidence auto.")
    ] = 0.02,
    engine: EngineName = "transformers",
    device: Device = None,
) -> None:
    """Make the confidences of a run probabilities of being right, on its dev split, and find a threshold for few mistakes."""
    quiet_libraries()
    from extune.evaluation.calibration import DOUBT
    from extune.stages.calibrate import calibrate as calibrate_run

    with counting_progress("predicting") as progress:
        done = calibrate_run(run, max_risk=max_risk, engine=engine, device=device, progress=progress)
    after = done.fit.after
    items = sum(one.count for one in after.bins)
    say(f"{done.fit.calibrator.method} calibration; on {items} items of the other half of dev:")
    say(f"ECE {_error(done.fit.before)} raw")
    say(f"ECE {_error(after)} calibrated{'' if after.is_inside else ': above the band'}")
    if after.without:
        note(f"{after.without} items have no confidence")
    _say_selection(done.selection, done.possible, 1 - DOUBT, str(run))
    say(f"wrote {done.file} and {done.picture}")
    if done.selection.threshold is None:
        note(f"next: extune evaluate {run}")
    else:
        note(f"next: extune predict {run} --file IN.jsonl --out OUT.jsonl --review REVIEW.jsonl")


def _error(reliability: Reliability) -> str:
    low, _, high = reliability.band
    return f"{reliability.error:.4f} (a perfectly calibrated model: {low:.4f} to {high:.4f})"


def _say_selection(selection: Selection, possible: float | None, certainty: float, run: str) -> None:
    share = f"{selection.max_risk:.2%}"
    if selection.threshold is None:
        say(f"no threshold keeps at most {share} wrong among the kept: {selection.refusal}")
        if possible is not None:
            say(f"the least that can be promised here is {possible:.0%}: extune calibrate {run} --max-risk {possible:g}")
        return
    say(f"threshold {selection.threshold:.4f}: keeps {selection.coverage:.1%} of the items")
    wrong = f"{selection.wrong} of {selection.kept} kept items are wrong ({selection.risk:.2%})"
    say(f"{wrong}; at most {share} in {certainty:.0%} of such calibrations")
