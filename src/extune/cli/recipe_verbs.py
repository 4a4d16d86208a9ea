"""Verbs that take a recipe: show, train, demo, and the recipes themselves. Heavy rooms are imported when a verb runs."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from extune.cli.progress import quiet_libraries
from extune.cli.terminal import errors, note, output, print_columns, print_extraction, say, summarize
from extune.errors import RecipeError, TrainingError
from extune.files import write_text
from extune.recipe.load import load_recipe
from extune.recipe.shipped import find_recipe, list_recipes
from extune.recipe.starter import render_starter

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name or a .yaml file.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Change the recipe.")]

recipes = typer.Typer(help="List, print and write recipes.", no_args_is_help=True, rich_markup_mode=None)


def show(
    recipe: RecipeName,
    overrides: Overrides = None,
    row: Annotated[int | None, typer.Option(help="Number of the example in its file, from 1.")] = None,
    line: Annotated[int | None, typer.Option(help="Instead of --row: a line of the file.")] = None,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "train",
) -> None:
    """Print one example as the model sees it; what is trained is in colour, one token after the other."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    from extune.stages.show import show as show_example

    rows = show_example(loaded, split=split, row=row, line=line)
    if not rows:
        say("the example is too long and dropped (data.on_too_long: drop)")
    for shown in rows:
        say(f"{shown.source or shown.example_id}: {shown.prompt_tokens} prompt tokens, {len(shown.answer)} trained")
        text = Text(shown.prompt, style="dim")
        for index, token in enumerate(shown.answer):
            text.append(token, style="black on bright_green" if index % 2 else "black on bright_cyan")
        say(text)


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; by default runs/ and the recipe's name.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    nproc: Annotated[int, typer.Option(min=1, help="Processes on this machine, one for each GPU.")] = 1,
    nnodes: Annotated[int, typer.Option(min=1, help="Machines, each of which runs this command.")] = 1,
    rdzv: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where several machines meet.")] = None,
) -> None:
    """Train a recipe into a run directory."""
    loaded = load_recipe(recipe, *(overrides or ()))
    place = out or Path("runs") / loaded.name
    words = ["train", recipe, *(overrides or ()), "--out", str(place)]
    _require_meeting_place(nnodes, rdzv)
    several = {"--nproc": nproc, "--nnodes": nnodes, "--rdzv": rdzv} if nproc * nnodes > 1 else {}
    try:
        if several:
            _launch([*words, "--resume"] if resume else words, loaded.name, nproc, nnodes, rdzv)
            return
        quiet_libraries()
        from extune.stages.train import train as train_recipe

        run = train_recipe(loaded, out, resume=resume, console=errors())
    except KeyboardInterrupt:
        options = [str(word) for option in several.items() if option[1] not in (1, None) for word in option]
        from extune.training.processes import this_process

        if several or this_process().count == 1:  # of several processes the one that started them says it
            note(f"continue with: extune {shlex.join([*words, '--resume', *options])}")
        raise
    say(f"wrote {run.path}")
    note(f"next: extune evaluate {run.path}")


def _require_meeting_place(nnodes: int, rdzv: str | None) -> None:
    if (nnodes > 1) != (rdzv is not None):
        raise RecipeError(
            f"--nnodes {nnodes} {'needs' if nnodes > 1 else 'has no use for'} --rdzv",
            expected="both for several machines, neither for one",
            fix="--nnodes 2 --rdzv HOST:29500 on each machine, HOST being one of them; or --nproc alone",
        )


def _launch(words: list[str], name: str, nproc: int, nnodes: int, rdzv: str | None) -> None:
    """Run the command in several processes; their first error is the error."""
    from extune.training.launch import Launch, launch

    ending = launch(words, Launch(nproc, nnodes, rdzv), name)
    if ending.code:
        if ending.heard:
            note(f"process {ending.rank} of {nproc * nnodes}:")
            errors().print(ending.heard.rstrip(), markup=False)
        if ending.code < 0:
            raise TrainingError(
                f"process {ending.rank} was killed by {signal.Signals(-ending.code).name}",
                where=f"--nproc {nproc}",
                expected="processes that end by themselves",
                fix="often the machine was out of memory: use a smaller batch or base, then go on with --resume",
            )
        raise typer.Exit(ending.code)


def demo(
    out: Annotated[Path, typer.Option(help="Run directory; an interrupted demo goes on there.")] = Path("runs") / "demo",
) -> None:
    """Train the embedded base on a bundled sample, score it, and show what it extracts."""
    quiet_libraries()
    from extune.studies.demo import run_demo

    result = run_demo(out, errors())
    scores = {"untrained base": result.untrained, "gazetteer": result.gazetteer, "trained": result.trained}
    rows = [(name, *(f"{figure:.3f}" for figure in (score.micro.precision, score.micro.recall, score.micro.f1)))
            for name, score in scores.items()]  # fmt: skip
    print_columns("test, strict", ("model", "P", "R", "F1"), rows)
    say(summarize(result.trained))
    if result.dev_f1 is not None:
        say(f"dev F1 {result.dev_f1:.3f}")
    for text, extraction in result.shown:
        print_extraction(text, extraction, result.types)
    say(f"trained in {result.seconds:.0f} s; run: {result.run.path}; report: {result.report}")
    note(f"next: extune predict {result.run.path}")


@recipes.command("list")
def list_shipped() -> None:
    """Names of the shipped recipes."""
    for name in list_recipes():
        say(name)


@recipes.command("show")
def show_recipe(name: Annotated[str, typer.Argument(metavar="NAME", help="A shipped recipe.")]) -> None:
    """Print a shipped recipe."""
    load_recipe(name)
    path = find_recipe(name)
    output().print((path if path.is_file() else Path(name)).read_text(encoding="utf-8"), markup=False, end="")


@recipes.command("new")
def new_recipe(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new recipe; written to NAME.yaml.")]) -> None:
    """Write a commented recipe to start from."""
    path = Path(name).with_suffix(".yaml")
    if path.exists():
        raise RecipeError("exists already", where=str(path), expected="a name that is not taken", fix="choose another name")
    write_text(path, render_starter(path.stem))
    say(f"wrote {path}")
    note(f"next: name your files and types in it, then: extune check {path}")
