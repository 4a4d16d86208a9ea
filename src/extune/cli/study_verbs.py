"""Verbs of several trainings: audit, curve, bakeoff. They go on where they stopped when the same command is given again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from extune.cli.progress import quiet_libraries
from extune.cli.recipe_verbs import Overrides, RecipeName
from extune.cli.terminal import errors, note, print_columns, say
from extune.recipe.load import load_recipe

StudyFolder = Annotated[
    Path | None, typer.Option(help="Folder of the study; by default studies/ and the recipe's name. Goes on if interrupted.")
]
_SHOWN = 10
_CONTEXT = 12  # characters around a label


def audit(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: StudyFolder = None,
    folds: Annotated[int, typer.Option(min=2, help="Trainings; each leaves one part of the training set out.")] = 3,
) -> None:
    """Find labels of the training set that are probably wrong, by models that were not trained on them."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    from extune.studies.audit import audit as audit_recipe
    from extune.studies.review_files import describe_item

    with going_on("audit", recipe, overrides, out, f"--folds {folds}"):
        done = audit_recipe(loaded, out, folds=folds, tell=note, console=errors())
    rows = [
        (
            finding["rank"],
            "–" if finding["confidence"] is None else f"{finding['confidence']:.3f}",
            finding["kind"],
            describe_item(finding["gold"]),
            describe_item(finding["predicted"]),
            _quote(finding),
            finding["source"] or finding["id"],
        )
        for finding in done.findings[:_SHOWN]
    ]
    title = f"the most suspicious of {done.labels} labels: {len(done.findings)} disagreements"
    print_columns(title, ("", "confidence", "kind", "label", "model", "text", "where"), rows)
    name, value = done.figure
    say(f"{name} of the models on what they were not trained on: {value:.3f}; the higher, the more a disagreement means")
    if done.unanswered:
        say(f"{len(done.unanswered)} examples were not answered whole, the first is {done.unanswered[0]}")
    for file in done.files:
        say(f"wrote {file}")
    note(f"next: review the first lines of {done.files[0]}")


def curve(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: StudyFolder = None,
    seeds: Annotated[int, typer.Option(min=3, help="Trainings of each size.")] = 3,
) -> None:
    """Train on 10, 25, 50 and 100 % of the data and say what twice the data would bring."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    from extune.reporting.learning_curve import describe_forecast
    from extune.studies.curve import learning_curve, name_curve

    with going_on("curve", recipe, overrides, out, f"--seeds {seeds}"):
        done = learning_curve(loaded, out, seeds=seeds, tell=note, console=errors())
    sizes = list(done.scores[done.headline])
    rows = [
        (
            name_curve(key),
            *(f"{sum(scores[size]) / len(scores[size]):.3f}" for size in sizes),
            describe_forecast(done.forecasts[key]),
        )
        for key, scores in done.scores.items()
    ]
    print_columns(f"mean of {seeds} seeds on {done.dev} dev examples", ("", *map(str, sizes), "twice the data"), rows)
    forecast = done.forecasts[done.headline]
    say(f"{name_curve(done.headline)}, twice the data: {describe_forecast(forecast)}")
    note("the interval comes from the seeds; it does not know that the dev set is a sample too")
    for file in done.files:
        say(f"wrote {file}")


def bakeoff(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: StudyFolder = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each training.")] = 200,
) -> None:
    """Train every answer format for the same number of steps and propose one."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    from extune.studies.bakeoff import bakeoff as compare_formats

    with going_on("bakeoff", recipe, overrides, out, f"--steps {steps}"):
        done = compare_formats(loaded, out, steps=steps, tell=note, console=errors())
    rows = [
        (
            one.name,
            f"{one.f1:.3f}",
            "[{:.3f}, {:.3f}]".format(*one.interval),
            "" if not any(one.difference) else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*one.difference),
            f"{one.tokens.prompt:.1f}",
            f"{one.tokens.answer:.1f}",
            f"{one.training_speed:.1f}",
            f"{one.prediction_speed:.1f}",
        )
        for one in done.contenders
    ]
    header = (
        "format",
        "dev F1",
        "95 %",
        "to the best, paired",
        "prompt tokens",
        "answer tokens",
        "trains rows/s",
        "predicts rows/s",
    )
    print_columns(f"{done.steps} steps each, {done.dev} dev examples, one seed", header, rows)
    for name, why in done.excluded.items():
        say(f"left out: {name}: {why}")
    say(f"proposal: prompt.format={done.winner} ({done.reason})")
    say(f"wrote {done.file}")
    note("next: extune train " + shlex.join([recipe, *(overrides or ()), f"prompt.format={done.winner}"]))


@contextmanager
def going_on(verb: str, recipe: str, overrides: list[str] | None, out: Path | None, option: str) -> Iterator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        place = [] if out is None else ["--out", str(out)]
        note(
            "what is finished is kept; continue with: extune "
            + shlex.join([verb, recipe, *(overrides or ()), *place])
            + f" {option}"
        )
        raise


def _quote(finding: Mapping[str, Any]) -> str:
    """The place of a span in its text, or the text's beginning."""
    item = finding["predicted"] or finding["gold"]
    text = finding["text"].replace("\n", " ")
    if "start" not in item:
        return str(text[: 2 * _CONTEXT])
    return str(text[max(0, item["start"] - _CONTEXT) : item["end"] + _CONTEXT])
