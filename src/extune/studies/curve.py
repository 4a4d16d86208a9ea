"""`extune curve`: what more data would bring.

In: a recipe. Out: dev scores of trainings on growing parts of the training set, a power law through them, and what it says of
twice the data, overall and by type.

Each seed has its own chain of nested parts, by hash, so that the interval knows how much it matters which examples a part
holds. A training in epochs makes fewer steps on fewer examples; its dev scores come at the same shares of its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from extune.data.folds import take_share
from extune.data.readers import ReadResult
from extune.data.splits import read_split
from extune.domain.example import Example
from extune.errors import DataError
from extune.evaluation.power_law import Forecast, forecast_doubling
from extune.evaluation.score import Score, name_figure
from extune.files import write_json
from extune.recipe.sections import Recipe
from extune.reporting.learning_curve import CurveLine, draw_learning_curve, write_curve_page
from extune.stages.evaluate import score_examples
from extune.studies.trainings import (
    PlannedTraining,
    Tell,
    begin_study,
    carry_out,
    require_dev,
    train_and_open,
    with_seed,
)

SHARES = (0.1, 0.25, 0.5, 1.0)
_STUDIES = Path("studies")

MeasureScore = Callable[[PlannedTraining, Path], Score]


@dataclass(frozen=True)
class LearningCurve:
    """Scores over sizes.

    Attributes:
        headline: key of the figure that stands for all.
        scores: by figure and number of training examples, one per seed; the headline first, then those of types, fields or
            labels that occur in every training's score.
        forecasts: of each of these figures.
        dev: number of dev examples.
        files: that were written.
    """

    headline: str
    scores: Mapping[str, Mapping[int, Sequence[float]]]
    forecasts: Mapping[str, Forecast]
    dev: int
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "headline": self.headline,
            "dev_examples": self.dev,
            "figures": {
                key: {
                    "scores": {str(size): list(values) for size, values in sizes.items()},
                    "forecast": self.forecasts[key].to_json(),
                }
                for key, sizes in self.scores.items()
            },
        }


def learning_curve(
    recipe: Recipe,
    out: Path | None = None,
    *,
    seeds: int = 3,
    shares: Sequence[float] = SHARES,
    tell: Tell = lambda _: None,
    console: Console | None = None,
    measure: MeasureScore | None = None,
) -> LearningCurve:
    """Train on growing parts and extrapolate.

    Args:
        recipe: trained once for each share and seed.
        out: the study's folder; None: `studies/` and the recipe's name. An interrupted study goes on there.
        seeds: trainings of each share; the first ones of `training.seeds` where these are enough, else counted from
            `training.seed`.
        shares: of the training set, growing.
        tell: is told the plan and how far it is.
        console: shows the progress of trainings.
        measure: trains and scores the dev set; None: `extune train` and `extune evaluate`.

    Raises:
        RecipeError: there is no dev set.
        DataError: two shares are the same number of examples.
        RunError: the folder holds something else.
    """
    out = out or _STUDIES / f"{recipe.name}-curve"
    dev = require_dev(recipe, "curve")
    result = read_split(recipe.data, "train", recipe.task)
    plan = _plan(recipe, result, dev, shares, _choose_seeds(recipe, seeds))
    begin_study(out, "curve", recipe, {"seeds": seeds, "shares": list(shares)}, [*result.examples, *dev])
    sizes = sorted({len(planned.examples) for planned in plan})
    tell(f"plan: {len(plan)} trainings, {len(shares)} sizes from {sizes[0]} to {sizes[-1]} examples x {seeds} seeds; in {out}")

    def score(planned: PlannedTraining, run: Path) -> Score:
        return score_examples(train_and_open(planned, run, console), planned.asked).score

    chosen = measure or score
    results = carry_out(plan, out, lambda planned, run: _describe(chosen(planned, run)), tell)
    return _summarize(recipe, out, plan, results, shares)


def _choose_seeds(recipe: Recipe, count: int) -> tuple[int, ...]:
    named = recipe.training.seeds
    return named[:count] if len(named) >= count else tuple(range(recipe.training.seed, recipe.training.seed + count))


def _plan(
    recipe: Recipe, result: ReadResult, dev: tuple[Example, ...], shares: Sequence[float], seeds: Sequence[int]
) -> list[PlannedTraining]:
    plan = []
    for share in shares:
        for seed in seeds:
            part = take_share(result.examples, result.groups, share, seed)
            trained = _shorten(with_seed(recipe, seed), share)
            plan.append(PlannedTraining(f"share-{share:g}-seed-{seed}", trained, part, dev))
    for seed in seeds:
        sizes = [len(planned.examples) for planned in plan if planned.recipe.training.seed == seed]
        if len(set(sizes)) < len(sizes):
            raise DataError(
                f"{len(result.examples)} training examples give parts of {', '.join(map(str, sizes))}",
                where="data.train",
                expected="parts of different sizes",
                fix="use more examples",
            )
    return plan


def _shorten(recipe: Recipe, share: float) -> Recipe:
    """The recipe with as many dev scores on this share as on the whole, where its steps follow from epochs."""
    steps = recipe.selection.eval_steps
    if steps is None or recipe.training.max_steps > 0:
        return recipe
    selection = recipe.selection.model_copy(update={"eval_steps": max(1, round(steps * share))})
    return recipe.model_copy(update={"selection": selection})


def _describe(score: Score) -> dict[str, Any]:
    return {"headline": score.headline, "figures": score.figures(), "documents": score.documents}


def _summarize(
    recipe: Recipe,
    out: Path,
    plan: Sequence[PlannedTraining],
    results: Mapping[str, Mapping[str, Any]],
    shares: Sequence[float],
) -> LearningCurve:
    headline = next(iter(results.values()))["headline"]
    figures = [results[planned.name]["figures"] for planned in plan]
    shared = [key for key in figures[0] if all(key in one for one in figures)]
    keys = [headline, *(key for key in shared if key.split(".")[0] in ("type", "field", "label"))]
    scores: dict[str, dict[int, list[float]]] = {key: {} for key in keys}
    per_share = len(plan) // len(shares)
    for number, found in enumerate(figures):
        # parts of one share differ by a few examples where groups stay together; they count under the first one's size
        size = len(plan[number - number % per_share].examples)
        for key in keys:
            scores[key].setdefault(size, []).append(found[key])
    forecasts = {key: forecast_doubling(sizes) for key, sizes in scores.items()}
    names = (out / "curve.svg", out / "curve.html", out / "curve.json")
    documents = next(iter(results.values()))["documents"]
    done = LearningCurve(headline, scores, forecasts, documents, names)
    lines = [CurveLine(name_curve(key), scores[key], forecasts[key]) for key in keys]
    draw_learning_curve(names[0], lines[0])
    write_curve_page(names[1], recipe.name, lines, documents)
    write_json(names[2], done.to_json())
    return done


def name_curve(key: str) -> str:
    """The name of a figure in a table: a type stands by its own name."""
    kind, _, rest = key.partition(".")
    return rest.removesuffix(".f1") if kind in ("type", "field", "label") else name_figure(key)
