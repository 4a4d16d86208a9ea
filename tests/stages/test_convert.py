"""`extune convert`: what is lost is said, nothing is overwritten, and `--strict` writes nothing where anything would be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.cli.main import main
from extune.data.readers import read_examples
from extune.data.writers import prediction_to_row, write_rows
from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import Prediction, Problem, ProblemKind

NESTED = [{"start": 0, "end": 3, "type": "方"}, {"start": 0, "end": 2, "type": "药"}]
ROWS = [{"id": "a", "text": "黄芪汤", "entities": NESTED}, {"id": "b", "text": "无恙", "entities": []}]


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    write_rows(path, ROWS)
    return path


def test_what_is_lost_is_said_with_an_example(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.txt"
    assert main(["convert", str(gold), str(out), "--to", "bio"]) == 0
    printed = capsys.readouterr().out
    assert f"lost: 1 times: a span inside or across another one is lost (first in {gold}:1: 药 '黄芪')" in printed
    assert "lost: 2 times: an id is lost" in printed
    assert f"wrote {out} from 2 examples" in printed
    assert out.read_text(encoding="utf-8").split() == ["黄", "B-方", "芪", "I-方", "汤", "I-方", "无", "O", "恙", "O"]


def test_strict_writes_nothing_where_something_would_be_lost(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(gold), str(out), "--to", "bio", "--strict"]) == 2
    assert "a span inside or across another one is lost" in capsys.readouterr().err
    assert not out.exists()
    assert main(["convert", str(gold), str(out), "--to", "brat", "--strict"]) == 0
    assert "nothing is lost" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["a.ann", "a.txt", "b.ann", "b.txt"]
    assert main(["convert", str(out), str(tmp_path / "back.jsonl"), "--to", "extune", "--strict"]) == 0
    back = read_examples(tmp_path / "back.jsonl")
    assert {one.id: one.gold for one in back} == {one.id: one.gold for one in read_examples(gold)}


def test_nothing_is_overwritten(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.json").write_text("mine")
    assert main(["convert", str(gold), str(tmp_path / "out.json"), "--to", "cmeee"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_text() == "mine"


def test_a_kind_without_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "in.jsonl", [{"id": "1", "text": "咳", "labels": ["轻"]}])
    assert main(["convert", str(tmp_path / "in.jsonl"), str(tmp_path / "out"), "--to", "brat"]) == 2
    error = capsys.readouterr().err
    assert "brat cannot hold annotations of the kind classification" in error
    assert "extune, label-studio, prodigy, doccano" in error
    assert main(["convert", str(tmp_path / "in.jsonl"), str(tmp_path / "out.json"), "--to", "doccano"]) == 0


def test_wrong_rows_stop_or_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "in.jsonl", [*ROWS, {"id": "c", "text": "咳", "entities": [{"start": 0, "end": 9, "type": "症"}]}])
    words = ["convert", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "--to", "prodigy"]
    assert main(words) == 2
    assert "in.jsonl:3" in capsys.readouterr().err
    assert main([*words, "--skip-bad-rows", "--strict"]) == 2
    assert main([*words, "--skip-bad-rows"]) == 0
    assert "lost: line 3 is left out: span [0, 9)" in capsys.readouterr().out


def test_predictions_become_pre_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotation = Extraction((Span("药", "黄芪", 0, 2, 0.75),), (Mention("药", "人参"),))
    prediction = Prediction("a", annotation, "药：黄芪；人参", (Problem(ProblemKind.UNGROUNDED, "人参"),), {"temperature": 0.0})
    write_rows(tmp_path / "model.jsonl", [prediction_to_row(prediction, "黄芪汤")])
    assert main(["convert", str(tmp_path / "model.jsonl"), str(tmp_path / "out.json"), "--to", "label-studio"]) == 0
    (task,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert "annotations" not in task
    (made,) = task["predictions"]
    assert made["model_version"] == "model"
    assert [(one["value"]["text"], one["score"]) for one in made["result"]] == [("黄芪", 0.75)]
    printed = capsys.readouterr().out
    for lost in ("the completion", "a problem of a prediction is lost (ungrounded)", "a mention that is not in its text"):
        assert lost in printed
