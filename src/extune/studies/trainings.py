"""Several trainings of one study, one after the other, of which an interrupted study repeats none.

In: a plan and what is done with each of its trainings. Out: the results by name. A study's folder holds `study.json` (what is
studied), `runs/NAME` (a run directory each) and `results/NAME.json` (what was measured of it). A result is written when its
training is measured, so that the study goes on behind the last one; a training that was cut goes on from its checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from extune.data.readers.own_rows import write_example
from extune.data.splits import find_split, read_split
from extune.domain.example import Example
from extune.errors import RecipeError, RunError
from extune.files import hash_text, write_json
from extune.predicting.open import load_predictor
from extune.predicting.predictor import Predictor
from extune.recipe.load import find_changes, recipe_from_values
from extune.recipe.sections import Recipe
from extune.runs.run_dir import RunDir, read_json
from extune.stages.train import train

Tell = Callable[[str], None]
"""Takes one line for the user."""


@dataclass(frozen=True)
class PlannedTraining:
    """One training of a study.

    Attributes:
        name: of its run directory and of its result.
        recipe: what is trained.
        examples: it is trained on.
        asked: examples that the trained model is asked about.
    """

    name: str
    recipe: Recipe
    examples: tuple[Example, ...]
    asked: tuple[Example, ...]


Measure = Callable[[PlannedTraining, Path], dict[str, Any]]
"""Trains into a run directory and measures; the result is ready for JSON."""


def begin_study(out: Path, kind: str, recipe: Recipe, choices: Mapping[str, Any], examples: Sequence[Example]) -> None:
    """Write `study.json`, or make sure that the one that is there belongs to the same study.

    Args:
        out: the study's folder.
        kind: the verb.
        recipe: that is studied.
        choices: all else that decides about the plan.
        examples: that are trained on and asked about.

    Raises:
        RunError: the folder holds something else, or another study.
    """
    rows = (json.dumps(write_example(example), ensure_ascii=True) for example in examples)
    study = {
        "study": kind,
        **choices,
        "data_hash": hash_text("\n".join(rows)),
        "recipe": recipe.model_dump(mode="json"),
    }
    file = out / "study.json"
    if not file.is_file():
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise _foreign(out, "exists and holds no study.json")
        write_json(file, study)
        return
    found = read_json(file)
    if not isinstance(found.get("recipe"), dict):
        raise _foreign(out, "holds a study.json without recipe")
    changes = [
        f"{key}: {found.get(key)!r} -> {study[key]!r}" for key in study if key != "recipe" and found.get(key) != study[key]
    ]
    changes += find_changes(recipe_from_values(found["recipe"], str(file)), recipe)
    if changes:
        raise _foreign(out, "was begun as another study: " + "; ".join(changes))


def carry_out(plan: Sequence[PlannedTraining], out: Path, measure: Measure, tell: Tell) -> dict[str, dict[str, Any]]:
    """The result of every planned training; those that are there are not repeated.

    Raises:
        ExtuneError: a training fails.
        KeyboardInterrupt: after Ctrl-C; what is finished is kept.
    """
    results = {}
    for number, planned in enumerate(plan, 1):
        file = out / "results" / f"{planned.name}.json"
        if not file.is_file():
            tell(f"training {number} of {len(plan)}: {planned.name}, {len(planned.examples)} examples")
            run = out / "runs" / planned.name
            write_json(file, measure(planned, run))
            if RunDir(run).checkpoints.is_dir():
                shutil.rmtree(RunDir(run).checkpoints)  # nothing of a finished run is resumed
        results[planned.name] = read_json(file)
    return results


def train_and_open(planned: PlannedTraining, run: Path, console: Console | None) -> Predictor:
    """Train, or go on with, one planned training; the predictor of the finished run."""
    train(planned.recipe, run, train=planned.examples, resume=True, console=console)
    return load_predictor(run)


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe of one training with this seed."""
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": seed, "seeds": ()})})


def require_dev(recipe: Recipe, verb: str) -> tuple[Example, ...]:
    """The dev set, on which trainings are compared; the test set is left alone.

    Raises:
        RecipeError: the recipe has none.
    """
    if find_split(recipe.data, "dev") is None:
        raise RecipeError(
            f"extune {verb} compares trainings on the dev set, and data.dev is not set",
            where="data.dev",
            expected="a labelled file that is neither train nor test",
            fix="data.dev=FILE, or data.split.dev=0.1",
        )
    return read_split(recipe.data, "dev", recipe.task).examples


def _foreign(out: Path, what: str) -> RunError:
    return RunError(
        what,
        where=str(out),
        expected="a new folder, or the folder of the same study to go on with",
        fix="choose another --out, or repeat the command that began it",
    )
