"""`extune check`: the data doctor on the terminal, as JSON and as a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from extune.cli.progress import quiet_libraries
from extune.cli.recipe_verbs import Overrides, RecipeName
from extune.cli.terminal import note, print_columns, say
from extune.errors import RecipeError
from extune.files import write_json
from extune.recipe.load import load_recipe

if TYPE_CHECKING:
    from extune.data.checks.finding import Finding
    from extune.data.checks.report import CheckReport, Fixes
    from extune.recipe.sections import Recipe

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_SHOWN_PLACES = 5
_SHOWN_LINES = 20


def check(
    recipe: RecipeName,
    overrides: Overrides = None,
    json: Annotated[Path | None, typer.Option(help="Write facts and findings, all lines included, to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page that opens from disk to this file.")] = None,
    fix: Annotated[Path | None, typer.Option(help="Write corrected copies of the files into this new folder.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Instead: memory and tokens of the training, without any weights.")
    ] = False,
    nproc: Annotated[int, typer.Option(min=1, help="With --plan: GPUs that train together; the memory of one.")] = 1,
) -> None:
    """Read all data of a recipe and say what is wrong with it, before anything is trained."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    if plan:
        _show_plan(loaded, json, nproc)
        return
    from extune.reporting.check_page import write_check_page
    from extune.stages.check import check as check_recipe

    report = check_recipe(loaded, fix=fix)
    _print_facts(report)
    for finding in report:
        _print_finding(finding)
    if json is not None:
        write_json(json, {"recipe": loaded.name, **report.to_json()})
        say(f"wrote {json}")
    if html is not None:
        write_check_page(html, loaded.name, report)
        say(f"wrote {html}")
    words = [recipe, *(overrides or ())]
    if report.fixes is not None:
        _print_fixes(report.fixes, words)
    say(_summarize(report))
    if report.has_errors:
        raise typer.Exit(RecipeError.exit_code)
    note("next: extune train " + shlex.join(words))


def _show_plan(recipe: Recipe, json: Path | None, nproc: int) -> None:
    from extune.cli.plan_view import print_plan
    from extune.stages.plan import plan as plan_training

    plan = plan_training(recipe, nproc)
    print_plan(plan)
    if json is not None:
        write_json(json, plan.to_json())
        say(f"wrote {json}")


def _print_facts(report: CheckReport) -> None:
    from extune.data.checks.report import SplitFacts

    splits = report.splits
    if not splits:
        return
    rows: list[Sequence[object]] = [
        (field.name.replace("_", " "), *(getattr(facts, field.name) for facts in splits.values()))
        for field in fields(SplitFacts)
        if field.name != "counts"
    ]
    fertility = [facts.tokens_per_character for facts in splits.values()]
    rows.append(("tokens per character", *("-" if one is None else f"{one:.2f}" for one in fertility)))
    print_columns("read", ("", *splits), rows)
    names = list(dict.fromkeys(name for facts in splits.values() for name in facts.counts))
    if names:
        counts = [(name, *(facts.counts.get(name, 0) for facts in splits.values())) for name in names]
        print_columns("annotations of each name", ("name", *splits), counts)


def _print_finding(finding: Finding) -> None:
    """A headline; where something is to be done, the first places, the lines of the rest, and what to do."""
    headline = Text(finding.severity, style=_STYLES[finding.severity])
    say(headline.append(f" {finding.code} × {finding.count} in {finding.file}: {finding.what}", style="not bold default"))
    if finding.severity == "info":
        return
    for place in finding.places[:_SHOWN_PLACES]:
        detail = place.detail.replace("\n", " ")
        say("  " + "  ".join(part for part in (finding.locate(place), detail, place.quote) if part))
    rest = finding.lines[_SHOWN_PLACES : _SHOWN_PLACES + _SHOWN_LINES]
    if rest:
        more = finding.count - _SHOWN_PLACES - len(rest)
        say("  and lines " + ", ".join(map(str, rest)) + (f" and {more} more; --json FILE lists all" if more > 0 else ""))
    elif finding.count > _SHOWN_PLACES:
        say(f"  and {finding.count - _SHOWN_PLACES} more")
    say(f"  fix: {finding.fix}")


def _print_fixes(fixes: Fixes, words: Sequence[str]) -> None:
    for split, reason in fixes.untouched.items():
        say(f"{split} was not written: {reason}")
    changes = ", ".join(f"{count} {code}" for code, count in fixes.counts.items()) or "no changes"
    say(f"wrote {', '.join(str(path) for path in fixes.files.values())}: {changes}; each is in {fixes.log}")
    overrides = [f"data.{split}={path}" for split, path in fixes.files.items()]
    note("next: extune check " + shlex.join([*words, *overrides]))


def _summarize(report: CheckReport) -> str:
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in report:
        counts[finding.severity] += 1
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"kinds of findings: {told}" if report.has_problems else "nothing is wrong" + (f" ({told})" if told else "")
