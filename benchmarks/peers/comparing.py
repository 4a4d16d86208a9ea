"""Measurements become figures that may be compared, or a reason why they may not. It knows no framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Row = Sequence[Any]
"""Length of the prompt, number of targets, digest: as `measuring.describe_row`."""

WARM_UP = 1
"""Steps at the beginning that are not timed: memory is fetched there, and layers are compiled."""
FIRST_TOLERANCE = 0.002
"""Relative difference of the first step's loss: the adapters add nothing yet, so that only bfloat16 differs."""
LAST_TOLERANCE = 0.01
"""Of the last step's: adapters begin at random, each framework with its own draw."""


def find_difference(expected: Sequence[Sequence[Row]], seen: Sequence[Sequence[Row]], *, same_order: bool) -> str | None:
    """In what the rows that a peer trained differ from those it was given; None where they do not.

    Args:
        expected: the rows of each step.
        seen: the rows of each step of the peer.
        same_order: each step has to train what is expected of it; else all rows together have to be the same.
    """
    wanted, found = [list(map(tuple, batch)) for batch in expected], [list(map(tuple, batch)) for batch in seen]
    if same_order and wanted == found:
        return None
    all_wanted, all_found = Counter(row for batch in wanted for row in batch), Counter(row for batch in found for row in batch)
    if all_wanted == all_found:
        return "the rows are the same, but the steps train them in another order" if same_order else None
    missing, foreign = list((all_wanted - all_found).elements()), list((all_found - all_wanted).elements())
    words = f"{len(missing)} of {all_wanted.total()} rows are not trained as they were given"
    if not foreign:
        return words + ": they are missing"
    counts = [
        f"{sum(row[0] for row in rows)} prompt tokens and {sum(row[1] for row in rows)} targets" for rows in (missing, foreign)
    ]
    return f"{words}: they have {counts[1]} instead of {counts[0]}"


def find_disagreement(losses: Sequence[float], reference: Sequence[float]) -> str | None:
    """Where the losses of two trainings of the same rows lie too far apart; None where they agree."""
    if len(losses) != len(reference):
        return f"{len(losses)} steps have a loss, not {len(reference)}"
    for name, at, tolerance in (("first", 0, FIRST_TOLERANCE), ("last", -1, LAST_TOLERANCE)):
        if abs(losses[at] - reference[at]) > tolerance * reference[at]:
            return f"the loss of the {name} step is {losses[at]:.4f}, that of the reference {reference[at]:.4f}"
    return None


def measure_speed(seen: Mapping[str, Any]) -> dict[str, float]:
    """Rows and targets per second of the steps behind the warm-up, of one training."""
    ends, batches = seen["ends"], seen["batches"]
    if len(ends) <= WARM_UP:
        raise ValueError(f"{len(ends)} steps leave nothing to time behind {WARM_UP} of warm-up")
    timed = [batches[step % len(batches)] for step in range(WARM_UP, len(ends))]
    seconds = ends[-1] - ends[WARM_UP - 1]
    rows = [row for batch in timed for row in batch]
    return {
        "rows_per_second": len(rows) / seconds,
        "target_tokens_per_second": sum(row[1] for row in rows) / seconds,
        "peak_gib": seen["peak_gib"],
        "first_step_seconds": ends[0],
    }


def summarise(measurements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the repeats of one configuration, and the slowest and the fastest repeat."""
    speeds = [measure_speed(seen) for seen in measurements]
    rates = [speed["rows_per_second"] for speed in speeds]
    medians = {name: round(median(speed[name] for speed in speeds), 3) for name in speeds[0]}
    return medians | {
        "rows_per_second_range": [round(min(rates), 3), round(max(rates), 3)],
        "repeats": len(measurements),
        "losses": [round(loss, 4) for loss in measurements[0]["losses"]],
        "threads": measurements[0]["threads"],
    }


def ratios(configurations: Mapping[str, Mapping[str, Any]], ours: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """By configuration: how much faster each of `ours` is, and what share of its memory that takes."""
    return {
        name: {
            our: {
                "speed": round(configurations[our]["rows_per_second"] / one["rows_per_second"], 2),
                "memory": round(configurations[our]["peak_gib"] / one["peak_gib"], 2),
            }
            for our in ours
            if our in configurations and our != name
        }
        for name, one in configurations.items()
    }
