"""`extune compare`: parses, prints, writes JSON on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extune.cli.terminal import note, print_columns, say
from extune.files import write_json

if TYPE_CHECKING:
    from extune.stages.compare import PairComparison

_SHOWN_IDS = 10


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Evaluated runs, or folders of scores.")],
    split: Annotated[str, typer.Option(help="As in `extune evaluate`.")] = "test",
    engine: Annotated[str, typer.Option(help="That made the predictions.")] = "transformers",
    json: Annotated[Path | None, typer.Option(help="Write everything to this file, with all ids.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Of bootstrap and randomisation.")] = 2000,
) -> None:
    """Which run is better, by how much, and on which rows; the first run is what the others are held against."""
    from extune.evaluation.score import name_figure
    from extune.stages.compare import compare as compare_runs

    report = compare_runs(runs, split, engine, resamples=resamples)
    figure = name_figure(report.headline)
    rows = [
        (one.name, _figure(one.figure), _range(one.interval), _figure(one.counts.precision), _figure(one.counts.recall))
        for one in report.leaderboard
    ]
    print_columns(f"{report.documents} documents", ("", figure, "95 %", "P", "R"), rows)
    for comparison in report.comparisons:
        _print_comparison(comparison, figure)
    note(f"intervals and p-values from {report.resamples} resamples; p-values of types are not corrected for their number")
    if json is not None:
        write_json(json, report.to_json())
        say(f"wrote {json}")


def _print_comparison(comparison: PairComparison, figure: str) -> None:
    rows = [
        (
            name,
            _figure(one.first),
            _figure(one.second),
            f"{one.difference:+.3f}",
            _range((one.low, one.high)),
            f"{one.p_value:.4f}",
        )
        for name, one in comparison.differences.items()
    ]
    header = ("", "first", "second", "difference", "95 %", "p")
    title = f"{comparison.second} (second) against {comparison.first} (first): {figure}"
    names = "" if figure == "F1" or len(rows) == 1 else "; of single names F1"
    print_columns(title + names, header, rows)
    say(f"fixed: {_list_ids(comparison.fixed)}")
    say(f"broken: {_list_ids(comparison.broken)}")


def _list_ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return f"{len(ids)} documents" + (f" ({', '.join(ids[:_SHOWN_IDS])}{more})" if ids else "")


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _range(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"
