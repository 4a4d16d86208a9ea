"""Two runs on one page: what changed is shown, with the figures of `extune compare`, and no folder of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.reporting.page_reader import Page

from extune.cli.main import main
from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ExtractionTask
from extune.errors import RunError
from extune.evaluation.assessment import assess
from extune.evaluation.scoring import score_predictions
from extune.files import write_json
from extune.reporting.background import read_background
from extune.reporting.scores_folder import write_scores_folder
from extune.runs.run_dir import RunDir
from extune.stages.compare import OVERALL, compare
from extune.studies.side_by_side import report_pair

_TASK = ExtractionTask(types=dict.fromkeys(("药", "症"), ""))
_DRUG, _SIGN = Span("药", "黄芪", 1, 3), Span("症", "头痛", 4, 6)
_EXAMPLES = [Example(f"t-{number}", "服黄芪治头痛", Extraction((_DRUG, _SIGN))) for number in range(20)]


def _make_run(folder: Path, right: set[int], rate: str = "0.001", test_set: str = "ab") -> Path:
    """A finished run whose answers are right for these documents, and lack a span for the others."""
    spans = [(_DRUG, _SIGN) if number in right else (_DRUG,) for number in range(len(_EXAMPLES))]
    predictions = [Prediction(one.id, Extraction(found), "") for one, found in zip(_EXAMPLES, spans, strict=True)]
    assessment = assess(score_predictions(_TASK, _EXAMPLES, predictions), _TASK, _EXAMPLES, predictions)
    meta = {"run": folder.name, "test_set_hash": test_set, "file": "/home/somebody/test.txt"}
    documents = list(zip(_EXAMPLES, predictions, strict=True))
    write_scores_folder(folder / "scores" / "test" / "transformers", documents, assessment, meta)
    recipe = f"data: {{train: /home/somebody/my data/{folder.name}.txt}}\ntraining: {{learning_rate: {rate}}}\n"
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    write_json(folder / "manifest.json", {"started": folder.name, "seed": 17, "versions": {"torch": rate}})
    (folder / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n', encoding="utf-8")
    return folder


def test_the_page_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [_make_run(tmp_path / "a", {0, 1, 2}), _make_run(tmp_path / "b", {2, 3, 4, 5, 6}, "0.002")]
    out = tmp_path / "pair.html"
    assert main(["report", str(runs[0]), str(runs[1]), "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out.replace("\n", "")
    source = out.read_text(encoding="utf-8")
    page = Page(source)
    (comparison,) = compare(runs).comparisons
    shown = {row[0]: row[1:] for row in page.cells if len(row) == 7}
    for name, one in comparison.differences.items():
        key = "all全部 · F1F1" if name == OVERALL else f"{name} · F1"
        figures = [f"{one.first:.4f}", f"{one.second:.4f}", f"{one.difference:+.4f}", f"{one.low:+.4f} – {one.high:+.4f}"]
        assert shown[key][:5] == [*figures, f"{one.p_value:.4f}"]
    rows = page.payload["documents"]
    statuses = page.payload["statuses"]
    by_status = {status: tuple(row["i"] for row in rows if statuses[row["z"]] == status) for status in statuses}
    assert (by_status["fixed"], by_status["broken"]) == (comparison.fixed, comparison.broken)
    assert [len(row["a"]) for row in rows] == [2] * 20
    assert ["training.learning_rate", "0.001", "0.002"] in page.cells
    assert ["data.train", "…/a.txt", "…/b.txt"] in page.cells
    assert ["versions.torch", "0.001", "0.002"] in page.cells
    assert not [row for row in page.cells if row[:1] in (["started"], ["seed"])]
    assert page.tags.count("svg") == 2
    assert "/home/somebody" not in source


def test_folders_of_scores_have_no_recipe(tmp_path: Path) -> None:
    runs = [_make_run(tmp_path / name, {1}) / "scores" / "test" / "transformers" for name in ("a", "b")]
    page = Page(report_pair(runs[0], runs[1], tmp_path / "pair.html").read_text(encoding="utf-8"))
    assert "Not both of them have a recipe." in page.text
    assert "the interval holds 0" in page.text


def test_what_cannot_be_laid_side_by_side_is_refused(tmp_path: Path) -> None:
    run, other = _make_run(tmp_path / "a", {1}), _make_run(tmp_path / "b", {1}, test_set="cd")
    with pytest.raises(RunError, match="different test sets"):
        report_pair(run, other)
    write_json(tmp_path / "seeds" / "summary.json", {"seeds": [1, 2]})
    with pytest.raises(RunError, match="holds several runs: seed-1, seed-2"):
        report_pair(run, tmp_path / "seeds")
    assert main(["report", str(run), "--out", str(tmp_path / "x.html")]) == 2


def test_a_background_tells_what_is_there(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "a", {1})
    background = read_background(RunDir(run))
    assert background.recipe == {"data": {"train": "…/a.txt"}, "training": {"learning_rate": 0.001}}
    assert background.manifest["seed"] == 17
    (run / "log.jsonl").write_bytes(b"\xff\xff\xff\x80")
    assert "log.jsonl" in read_background(RunDir(run)).note
    for name in ("recipe.yaml", "manifest.json", "log.jsonl"):
        (run / name).unlink()
    empty = read_background(RunDir(run))
    assert (empty.recipe, empty.manifest, empty.curves, empty.note) == ({}, {}, "", "")
    (run / "recipe.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(RunError, match=r"recipe\.yaml"):
        read_background(RunDir(run))
