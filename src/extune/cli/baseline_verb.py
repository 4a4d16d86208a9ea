"""`extune baseline`: parses, prints the table, says where it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extune.cli.progress import counting_progress, quiet_libraries
from extune.cli.recipe_verbs import Overrides, RecipeName
from extune.cli.terminal import note, print_columns, say
from extune.recipe.load import load_recipe


def baseline(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/ and the recipe's name with -baselines.")] = None,
    split: Annotated[str, typer.Option(help="test or dev.")] = "test",
    untrained: Annotated[bool, typer.Option(help="Predict with the untrained base, too.")] = True,
    run: Annotated[
        list[Path] | None, typer.Option(help="A trained run that was evaluated on this split; several times.")
    ] = None,
) -> None:
    """Score look-ups, an OpenAI-compatible server (engine.base_url=, engine.model=), the untrained base and trained runs."""
    loaded = load_recipe(recipe, *(overrides or ()))
    quiet_libraries()
    from extune.studies.baseline import TABLE_JSON, TABLE_MARKDOWN, run_baselines

    folder = out or Path("runs") / f"{loaded.name}-baselines"
    with counting_progress("baselines") as progress:
        table = run_baselines(loaded, folder, split=split, untrained=untrained, runs=run or (), progress=progress)
    print_columns(table.title, table.header(), table.cells())
    for line in table.list_notes():
        say(line)
    say(f"wrote {folder / TABLE_JSON} and {folder / TABLE_MARKDOWN}")
    note("next: extune train " + recipe)
