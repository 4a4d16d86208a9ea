"""The three studies with real trainings, as short as they can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from extune.cli.study_verbs import going_on
from extune.recipe.load import load_recipe
from extune.runs.run_dir import RunDir
from extune.studies.curve import learning_curve

Extune = Callable[..., object]


def test_audit(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    words = (
        "audit",
        recipe_file,
        "training.max_steps=2",
        "data.train_limit=12",
        "data.dev=",
        "--folds",
        2,
        "--out",
        tmp_path / "a",
    )
    done = extune(*words)
    assert done.code == 0
    assert "plan: 2 trainings" in done.err
    rows = [json.loads(line) for line in (tmp_path / "a" / "disagreements.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all(0 <= row["confidence"] <= 1 for row in rows)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    run = RunDir(tmp_path / "a" / "runs" / "fold-1")
    assert run.is_finished
    assert not run.checkpoints.exists()
    again = extune(*words)
    assert again.out == done.out
    assert "training 1" not in again.err


def test_curve(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file, "training.max_steps=1", "selection.eval_steps=1", "data.dev=", "data.split={dev: 3}")
    done = learning_curve(recipe, tmp_path / "c", seeds=1, shares=(0.5, 1.0))
    assert [len(values) for values in done.scores["micro.f1"].values()] == [1, 1]
    assert done.dev == 3
    assert "a fit needs 3 sizes" in done.forecasts["micro.f1"].obstacle
    assert all(file.is_file() for file in done.files)


def test_bakeoff(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    words = ("data.train_limit=4", "data.dev=", "data.split={dev: 1}")
    done = extune("bakeoff", recipe_file, *words, "--steps", 1, "--out", tmp_path / "b")
    assert done.code == 0
    assert "proposal: prompt.format=" in done.out
    found = json.loads((tmp_path / "b" / "bakeoff.json").read_text(encoding="utf-8"))
    assert {one["name"] for one in found["formats"]} == {"lines", "pairs", "json", "inline", "bio"}
    assert all(one["training_speed"] > 0 and one["prediction_speed"] > 0 for one in found["formats"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bakeoff", "medical-qa"), "has one only: answer"),
        (("audit", "medical-qa"), "a different wording is no label error"),
        (("curve", "medical-qa"), "data.dev is not set"),
    ],
)
def test_refusals_say_why(words: tuple[str, ...], said: str, extune: Extune) -> None:
    done = extune(*words)
    assert done.code == 2
    assert said in done.err


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), going_on("curve", "tiny.yaml", ["data.dev=my dev"], tmp_path, "--seeds 3"):
        raise KeyboardInterrupt
    assert f"extune curve tiny.yaml 'data.dev=my dev' --out {tmp_path} --seeds 3" in capsys.readouterr().err
