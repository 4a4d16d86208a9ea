"""Confidences on the command line: raw, calibrated, parted, and refused where they belong to something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.e2e.conftest import write_rows

from extune.recipe.load import dump_recipe
from extune.runs.run_dir import RunDir

Extune = Callable[..., Any]


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the run whose dev split has enough rows."""
    copy = tmp_path / "run"
    shutil.copytree(trained_run, copy, ignore=shutil.ignore_patterns("checkpoints", "scores"))
    write_rows(tmp_path / "dev.jsonl", range(100, 160))
    recipe = RunDir(copy).recipe()
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"dev": str(tmp_path / "dev.jsonl")})})
    (copy / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    return copy


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_raw_confidences_to_a_review(extune: Extune, run: Path, tmp_path: Path) -> None:
    whole, out, review = (tmp_path / f"{name}.jsonl" for name in ("whole", "out", "review"))
    source = ("--file", tmp_path / "dev.jsonl", "--device", "cpu")
    early = extune("predict", run, *source, "--out", out, "--review", review)
    assert early.code == 2
    assert "the run is not calibrated" in early.err
    assert not out.exists()

    done = extune("calibrate", run, "--max-risk", "0.5", "--device", "cpu")
    assert done.code == 0, done.err
    assert done.out.count("a perfectly calibrated model") == 2
    written = json.loads((run / "calibration.json").read_text(encoding="utf-8"))
    assert f"ECE {written['after']['error']:.4f}" in done.out
    assert written["fitted"] + written["held"] >= 40
    assert ElementTree.parse(run / "calibration.svg").getroot().tag.endswith("svg")

    predicted = extune("predict", run, *source, "--out", whole)
    assert "confidences are raw" not in predicted.err
    least = 0.5
    parted = extune("predict", run, *source, "--out", out, "--review", review, "--min-confidence", least)
    assert parted.code == 0, parted.err
    found = {row["id"]: row for row in read_rows(whole)}
    sure, unsure = ({row["id"]: row["entities"] for row in read_rows(path)} for path in (out, review))
    assert list(sure) == list(found)
    for id_, row in found.items():
        assert sorted([*sure[id_], *unsure.get(id_, [])], key=str) == sorted(row["entities"], key=str)
        assert all(one["confidence"] >= least for one in sure[id_])
    kept, total = (sum(len(row) for row in rows) for rows in (sure.values(), (one["entities"] for one in found.values())))
    assert f"kept {kept} of {total} items" in parted.out

    report = extune("evaluate", run, "--device", "cpu")
    assert report.code == 0
    scores = json.loads((run / "scores" / "test" / "transformers" / "report.json").read_text(encoding="utf-8"))
    assert len(scores["reliability"]["band"]) == 3

    contract = run / "contract.json"
    contract.write_text(contract.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    stale = extune("predict", run, "--text", "服当归", "--device", "cpu")
    assert stale.code == 2
    assert "belongs to contract" in stale.err
    (run / "calibration.json").unlink()
    raw = extune("predict", run, "--text", "服当归", "--device", "cpu")
    assert raw.code == 0
    assert "confidences are raw" in raw.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["calibrate", "RUN", "--max-risk", "2"], "max-risk is 2"),
        (["predict", "RUN", "--text", "服当归", "--min-confidence", "0.5"], "part a file in two"),
        (["predict", "RUN", "--file", "DEV", "--out", "OUT", "--review", "R.jsonl", "--min-confidence", "much"], "is 'much'"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], said: str, extune: Extune, run: Path, tmp_path: Path) -> None:
    places = {"RUN": run, "DEV": tmp_path / "dev.jsonl", "OUT": tmp_path / "o.jsonl", "R.jsonl": tmp_path / "r.jsonl"}
    done = extune(*(places.get(word, word) for word in words))
    assert done.code == 2
    assert said in done.err


def test_a_dev_split_that_is_too_small_is_refused(extune: Extune, trained_run: Path) -> None:
    done = extune("calibrate", trained_run, "--device", "cpu")
    assert done.code == 2
    assert "at least 20 in each" in done.err
    assert not (trained_run / "calibration.json").exists()
