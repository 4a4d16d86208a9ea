"""`extune parity`: parses, prints, and fails where a side loses too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from extune.cli.progress import counting_progress, quiet_libraries
from extune.cli.run_verbs import Device, RunPath
from extune.cli.terminal import note, print_columns, say

if TYPE_CHECKING:
    from extune.stages.parity import Compared, ParityReport

_SHOWN_FLIPS = 10


def parity(
    run: RunPath,
    engines: Annotated[str, typer.Option(help="Apart by commas: transformers, vllm.")] = "transformers",
    variants: Annotated[
        str | None,
        typer.Option(help="Apart by commas: adapter or model (what was trained), and folders of RUN/variants; by default all."),
    ] = None,
    split: Annotated[str, typer.Option(help="test, dev, train, or a labelled file.")] = "test",
    max_drop: Annotated[float, typer.Option(min=0, help="Points of F1 that a side may lose; more is exit code 1.")] = 0.5,
    device: Device = None,
) -> None:
    """Does the run answer alike on other engines, merged and quantised? The first named is what the others are held against."""
    quiet_libraries()
    from extune.stages.parity import parity as compare_sides

    with counting_progress("predicting") as progress:
        report = compare_sides(
            run,
            _split(engines),
            _split(variants or ""),
            split=split,
            max_drop=max_drop,
            device=device,
            progress=progress,
        )
    print_report(report)
    report.require_parity()
    best = max(report.others, key=lambda one: (one.side.engine == "vllm", -one.seconds))
    note(f"next: extune predict {best.side.folder} --engine {best.side.engine} --file IN --out OUT")


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def print_report(report: ParityReport) -> None:
    """The figures of every side, the clearest flips, and where all of it was written."""
    _print_figures(report)
    for compared in report.others:
        _print_flips(compared)
    say(f"wrote {report.path}")


def _print_figures(report: ParityReport) -> None:
    from extune.evaluation.score import name_figure

    figure = name_figure(report.headline)
    rows = [(report.first.name, f"{report.figure:.4f}", "", "", "", f"{report.seconds:.1f}")]
    for one in report.others:
        ends = f"[{100 * one.difference.low:+.2f}, {100 * one.difference.high:+.2f}]"
        rows.append(
            (
                one.side.name,
                f"{one.figure:.4f}",
                f"{100 * one.equal:.2f} %",
                str(len(one.flips)),
                f"{100 * one.difference.difference:+.2f} {ends}",
                f"{one.seconds:.1f}",
            )
        )
    header = ("", figure, "equal", "flips", "points [95 %]", "seconds")
    print_columns(f"{report.examples} examples of {report.split}", header, rows)


def _print_flips(compared: Compared) -> None:
    """The rows whose answers differ, the clearest first: a flip far from a tie is not rounding."""
    flips = sorted(compared.flips, key=lambda flip: -abs(flip.margin or 0.0))
    for flip in flips[:_SHOWN_FLIPS]:
        margin = "margin unknown" if flip.margin is None else f"margin {flip.margin:.2e}"
        place = "" if flip.place is None else f" at token {flip.place + 1}"
        say(f"  {compared.side.name}: {flip.example_id} differs{place}, {margin}")
    if len(flips) > _SHOWN_FLIPS:
        say(f"  and {len(flips) - _SHOWN_FLIPS} more")
