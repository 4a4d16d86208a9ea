"""A learning curve from scores that were decided beforehand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.studies.conftest import Told, known

from extune.data.splits import read_split
from extune.domain.prediction import Prediction
from extune.errors import DataError, RecipeError, RunError
from extune.evaluation.score import Score
from extune.evaluation.scoring import score_predictions
from extune.recipe.sections import Recipe
from extune.studies.curve import learning_curve
from extune.studies.trainings import PlannedTraining


class Growing:
    """Finds the labels of as many dev examples as the training has quarters of the data; the first seed one more."""

    def __init__(self, recipe: Recipe, fail_at: int | None = None) -> None:
        self.examples = read_split(recipe.data, "dev", recipe.task).examples
        self.planned: list[PlannedTraining] = []
        self.fail_at = fail_at

    def __call__(self, planned: PlannedTraining, _run: Path) -> Score:
        if len(self.planned) == self.fail_at:
            raise KeyboardInterrupt
        self.planned.append(planned)
        known_ones = len(planned.examples) * 5 // 40 - (planned.recipe.training.seed == 18)
        predictions = [
            Prediction(example.id, known(example.text if number < known_ones else ""), "")
            for number, example in enumerate(self.examples)
        ]
        return score_predictions(planned.recipe.task, self.examples, predictions, resamples=0)


def test_the_plan_is_nested_and_every_size_has_every_seed(recipe: Recipe, tmp_path: Path, told: Told) -> None:
    measure = Growing(recipe)
    done = learning_curve(recipe, tmp_path / "out", tell=told, measure=measure)
    assert told.lines[0].startswith("plan: 12 trainings, 4 sizes from 4 to 40 examples x 3 seeds")
    assert {key: sorted(sizes) for key, sizes in done.scores.items()} == {key: [4, 10, 20, 40] for key in done.scores}
    assert list(done.scores) == ["micro.f1", "type.药.f1", "type.症.f1"]
    by_seed: dict[int, list[set[str]]] = {}
    for planned in measure.planned:
        by_seed.setdefault(planned.recipe.training.seed, []).append({one.id for one in planned.examples})
    assert sorted(by_seed) == [17, 18, 19]
    for parts in by_seed.values():
        assert all(small < large for small, large in pairwise(parts))
    assert by_seed[17][0] != by_seed[18][0]
    assert done.forecasts["micro.f1"].obstacle == ""
    assert done.forecasts["micro.f1"].gain is not None


def test_files_have_the_same_numbers(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = learning_curve(recipe, out, measure=Growing(recipe))
    found = json.loads((out / "curve.json").read_text(encoding="utf-8"))
    assert found["figures"]["micro.f1"]["scores"]["40"] == list(done.scores["micro.f1"][40])
    assert found["figures"]["micro.f1"]["forecast"]["usable"]
    picture = ElementTree.parse(out / "curve.svg")
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 12
    page = (out / "curve.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert f"{done.forecasts['micro.f1'].low:+.3f}" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_an_interrupted_curve_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        learning_curve(recipe, tmp_path / "out", measure=Growing(recipe, fail_at=5))
    rest = Growing(recipe)
    done = learning_curve(recipe, tmp_path / "out", measure=rest)
    assert len(rest.planned) == 7
    assert done.scores == learning_curve(recipe, tmp_path / "whole", measure=Growing(recipe)).scores


def test_dev_scores_keep_their_shares_of_a_training_in_epochs(recipe: Recipe, tmp_path: Path) -> None:
    training = recipe.training.model_copy(update={"max_steps": -1, "seeds": (5, 6, 7, 8)})
    selection = recipe.selection.model_copy(update={"eval_steps": 20})
    measure = Growing(recipe)
    learning_curve(recipe.model_copy(update={"training": training, "selection": selection}), tmp_path / "out", measure=measure)
    steps = {planned.name: planned.recipe.selection.eval_steps for planned in measure.planned}
    assert (steps["share-0.1-seed-5"], steps["share-1-seed-7"]) == (2, 20)
    assert {planned.recipe.training.seed for planned in measure.planned} == {5, 6, 7}
    assert all(planned.recipe.training.seeds == () for planned in measure.planned)


def test_no_dev_set_too_few_examples_and_another_study_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    blind = recipe.model_copy(update={"data": recipe.data.model_copy(update={"dev": None})})
    with pytest.raises(RecipeError, match="dev"):
        learning_curve(blind, tmp_path / "out", measure=Growing(recipe))
    few = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_limit": 4})})
    with pytest.raises(DataError, match="parts of 1, 1, 2, 4"):
        learning_curve(few, tmp_path / "out", measure=Growing(recipe))
    learning_curve(recipe, tmp_path / "out", measure=Growing(recipe))
    with pytest.raises(RunError, match="seeds: 3 -> 4"):
        learning_curve(recipe, tmp_path / "out", seeds=4, measure=Growing(recipe))
