"""Two files become a score with its baselines, and a folder that `compare` and `report.json` readers understand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.cli.main import main
from extune.data.readers import read_examples
from extune.domain.annotation import Extraction
from extune.evaluation.lookups import Gazetteer
from extune.evaluation.metrics import ExtractionScore
from extune.files import hash_file
from extune.recipe.sections import DataSection
from extune.runs.manifest import hash_data
from extune.stages.compare import compare
from extune.stages.convert import convert
from extune.stages.score_files import score_files

_TYPES = ["药", "症"]


def _row(text: str, *spans: tuple[int, int, str]) -> dict[str, object]:
    return {"text": text, "entities": [{"start": start, "end": end, "type": name} for start, end, name in spans]}


def _dump(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Gold, predictions (strings by type, one of them invented) and train."""
    gold = [_row("服黄芪治头痛", (1, 3, "药"), (4, 6, "症")), _row("用当归", (1, 3, "药"))]
    answers: list[dict[str, object]] = [{"药": ["黄芪", "人参"], "症": ["头痛"]}, {"药": []}]
    train = [_row("用当归", (1, 3, "药")), _row("黄芪", (0, 2, "药"))]
    return _dump(tmp_path / "gold.jsonl", gold), _dump(tmp_path / "pred.jsonl", answers), _dump(tmp_path / "train.jsonl", train)


def test_a_report_whose_atlas_adds_up(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    gold, predictions, train = files
    found = score_files(predictions, gold, _TYPES, train=train, out=tmp_path / "out")
    assert isinstance(found.assessment.score, ExtractionScore)
    micro = found.assessment.score.micro
    assert (micro.tp, micro.fp, micro.fn) == (2, 1, 1)
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["meta"]["test_set_hash"] == hash_file(gold)
    assert list(report["baselines"]) == ["nothing", "majority type", "gazetteer"]
    assert report["overlap"]["ids"] == ["gold-2"]
    assert {key: report["atlas"]["total"][key] for key in ("tp", "fp", "fn")} == {"tp": 2, "fp": 1, "fn": 1}
    classes = [(one["side"], one["class"]) for one in report["atlas"]["mistakes"]]
    assert classes == [("fp", "ungrounded"), ("fn", "missing")]
    pages = [(tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")]
    for page in pages:
        assert "by seen" in page
        assert "1 of the scored texts are also in train" in page
    assert "| ungrounded | 1 | 0 |" in pages[0]
    assert "| all | 1 | 1 |" in pages[0]


def test_two_tools_are_compared_by_their_folders(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    gold, predictions, _ = files
    score_files(predictions, gold, out=tmp_path / "one")
    score_files(gold, gold, out=tmp_path / "two")
    (comparison,) = compare([tmp_path / "one", tmp_path / "two"], resamples=200).comparisons
    assert (comparison.fixed, comparison.broken) == (("gold-1", "gold-2"), ())
    assert comparison.differences["all"].second == 1


def test_a_folder_of_documents_is_gold_too(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """brat's folder says what the file says, and its report names the hash of all of it."""
    gold, _, train = files
    convert(gold, tmp_path / "docs", DataSection(), "brat")
    found = score_files(gold, tmp_path / "docs", _TYPES, train=train, out=tmp_path / "out")
    score = found.assessment.score
    assert score.figures()[score.headline] == 1
    assert list(found.assessment.baselines) == ["nothing", "majority type", "gazetteer"]
    assert "1 of the scored texts are also in train; F1 without them 1.0000" in found.notes
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["meta"]["test_set_hash"] == hash_data(tmp_path / "docs")


def test_the_command_says_how_the_files_were_read(
    files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, predictions, train = files
    words = ["evaluate", "--pred", str(predictions), "--gold", str(gold)]
    assert main([*words, "--train", str(train), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "F1 0.667" in printed.out
    assert "strings by type, paired with gold by order" in printed.err
    assert "gazetteer 0.800" in printed.err
    assert main([*words[:3], "--out", str(tmp_path / "out")]) == 2


def test_the_gazetteer_as_a_foreign_tool_scores_what_the_baseline_scores(shared_data: Path, tmp_path: Path) -> None:
    """On real data: predictions that went through a file are what they were, and TCM's leaked sentences are found."""
    gold, train = (shared_data / "tcm_ner" / f"medical_{name}.txt" for name in ("test", "train"))
    gazetteer = Gazetteer.fit(read_examples(train).examples)
    rows = []
    for example in read_examples(gold).examples:
        found: Extraction = gazetteer.predict(example.text)
        rows.append(_row(example.text, *((span.start, span.end, span.type) for span in found.spans)))
    result = score_files(_dump(tmp_path / "pred.jsonl", rows), gold, train=train).assessment
    gazetteer_score = result.baselines["gazetteer"]
    assert isinstance(result.score, ExtractionScore)
    assert isinstance(gazetteer_score, ExtractionScore)
    assert result.score.micro == gazetteer_score.micro
    assert result.overlap is not None
    assert len(result.overlap.ids) >= 9
    assert result.atlas is not None
    assert result.atlas.total.prf == result.score.micro
