"""Which format is proposed, from trials that were decided beforehand; tokens and representability are the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.studies.conftest import Told

from extune.errors import RecipeError
from extune.recipe.sections import Recipe
from extune.studies.bakeoff import Trial, bakeoff
from extune.studies.trainings import PlannedTraining

GOOD, BAD = (2.0, 0.0, 0.0), (0.0, 2.0, 2.0)


class Trials:
    """For each format how many of the six dev documents are right."""

    def __init__(self, right: Mapping[str, int]) -> None:
        self.right = right
        self.planned: list[PlannedTraining] = []

    def __call__(self, planned: PlannedTraining, _run: Path) -> Trial:
        self.planned.append(planned)
        right = self.right.get(planned.name, 0)
        return Trial(tuple([GOOD] * right + [BAD] * (6 - right)), 10.0, 20.0)


def test_all_formats_train_the_same_steps_on_the_same_examples(recipe: Recipe, tmp_path: Path, told: Told) -> None:
    trials = Trials({"lines": 6})
    done = bakeoff(recipe, tmp_path / "out", steps=7, tell=told, measure=trials)
    assert told.lines[0].startswith("plan: 5 trainings of 7 steps, one for each of lines, pairs, json, inline, bio")
    assert [planned.recipe.prompt.format for planned in trials.planned] == ["lines", "pairs", "json", "inline", "bio"]
    assert {planned.recipe.training.max_steps for planned in trials.planned} == {7}
    assert len({planned.examples for planned in trials.planned}) == 1
    assert (done.winner, done.contenders[0].f1) == ("lines", 1.0)
    assert "no paired interval holds 0" in done.reason
    tokens = {one.name: one.tokens for one in done.contenders}
    assert tokens["lines"].answer < tokens["json"].answer < tokens["bio"].answer
    for planned in trials.planned:
        assert planned.recipe.prompt.max_answer_tokens > tokens[planned.name].longest_answer
    assert json.loads((tmp_path / "out" / "bakeoff.json").read_text(encoding="utf-8"))["winner"] == "lines"


def test_of_formats_that_cannot_be_told_apart_the_cheaper_one_is_proposed(recipe: Recipe, tmp_path: Path) -> None:
    done = bakeoff(recipe, tmp_path / "out", measure=Trials({"json": 5, "lines": 4, "bio": 5}))
    assert done.contenders[0].name == "json"  # of equals the one with shorter answers
    assert done.winner == "lines"
    assert done.reason.startswith("json has the best F1, but the paired interval of the difference [-")
    best = bakeoff(recipe, tmp_path / "best", measure=Trials({"json": 4, "lines": 5}))
    assert (best.winner, best.contenders[0].name) == ("lines", "lines")
    assert "json cannot be told from it" in best.reason


def test_a_format_that_cannot_hold_the_data_is_left_out_with_the_reason(recipe: Recipe, tmp_path: Path, told: Told) -> None:
    train = tmp_path / "train.jsonl"
    row = {
        "id": "nested",
        "text": "黄芪汤",
        "entities": [{"start": 0, "end": 2, "type": "药"}, {"start": 0, "end": 3, "type": "药"}],
    }
    train.write_text(train.read_text(encoding="utf-8") + json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    done = bakeoff(recipe, tmp_path / "out", tell=told, measure=Trials({"lines": 6}))
    assert list(done.excluded) == ["bio"]
    assert "train.jsonl:41" in done.excluded["bio"]
    assert any(line.startswith("left out: bio: ") for line in told.lines)
    assert "bio" not in {one.name for one in done.contenders}


def test_an_interrupted_bakeoff_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    class Cut(Trials):
        def __call__(self, planned: PlannedTraining, _run: Path) -> Trial:
            if len(self.planned) == 2:
                raise KeyboardInterrupt
            return super().__call__(planned, _run)

    with pytest.raises(KeyboardInterrupt):
        bakeoff(recipe, tmp_path / "out", measure=Cut({"lines": 6}))
    rest = Trials({})
    assert bakeoff(recipe, tmp_path / "out", measure=rest).winner == "lines"
    assert [planned.name for planned in rest.planned] == ["json", "inline", "bio"]


@pytest.mark.parametrize("task", [{"kind": "generation"}, {"kind": "classification", "label_names": ["a", "b"]}])
def test_tasks_with_one_format_are_refused(recipe: Recipe, task: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has one only"):
        bakeoff(Recipe(task=task, data=recipe.data), tmp_path / "out", measure=Trials({}))
