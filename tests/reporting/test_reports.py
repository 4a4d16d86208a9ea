"""A report says what was scored, carries every document, and needs nothing but itself; for all kinds of tasks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.reporting.page_reader import Page

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example, Source
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.evaluation.assessment import Assessment, Overlap, assess
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.scoring import score_predictions
from extune.evaluation.training_reference import TrainingReference
from extune.reporting.background import Background
from extune.reporting.page import embed_json
from extune.reporting.reports import write_score_report, write_score_seed_report
from extune.reporting.views import build_view

HOSTILE = "</script><img src=x onerror=alert(1)><!--<script>{{ 7*7 }}{% x %}\u2028&amp;'\""
META = {"run": "r|1", "split": "test", "engine": "scripted", "test_set_hash": "ab12", "file": "/home/somebody/data/test.txt"}
SPANS = ExtractionTask(types=dict.fromkeys(["药|材", "方", "<未见>"], ""))
RECORD = RecordTask(fields={"药|名": RecordField(kind="verbatim"), "结论": RecordField(kind="text")})
CLASSES = ClassificationTask(label_names=["科技", "<体育>"])
CASES: list[tuple[Task, Annotation, Annotation]] = [
    (SPANS, Extraction((Span("方", "桂枝汤", 1, 4), Span("药|材", "桂枝", 1, 3))), Extraction((Span("方", "枝汤<", 2, 5),))),
    (RECORD, Fields({"药|名": ("黄芪",), "结论": "气虚"}), Fields({"结论": "<b>气虚" + HOSTILE})),
    (CLASSES, Labels(("科技",)), Labels(("<体育>",))),
    (GenerationTask(), Answer("多休息"), Answer(HOSTILE)),
]


def assess_pairs(task: Task, pairs: list[tuple[Example, Prediction]], reference: TrainingReference | None = None) -> Assessment:
    """What is said about the predictions of some documents."""
    examples, predictions = [example for example, _ in pairs], [prediction for _, prediction in pairs]
    loss = TargetLoss(1.0, 4) if isinstance(task, GenerationTask) else None
    score = score_predictions(task, examples, predictions, loss=loss, resamples=50)
    return assess(score, task, examples, predictions, reference)


def write(folder: Path, task: Task, pairs: list[tuple[Example, Prediction]], **more: Any) -> tuple[Page, dict[str, Any]]:
    """The page and `report.json` of some documents."""
    assessment = assess_pairs(task, pairs, more.pop("reference", None))
    write_score_report(folder, assessment=assessment, meta=META, documents=pairs, **more)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    return page, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def make_pairs(gold: Annotation, predicted: Annotation) -> list[tuple[Example, Prediction]]:
    text = "服桂枝汤<b>" + HOSTILE
    problem = Problem(ProblemKind.CUT_OFF, HOSTILE)
    return [
        (Example("right", text, gold), Prediction("right", gold, "")),
        (
            Example(HOSTILE, text, gold, source=Source("/home/somebody/t", 7)),
            Prediction(HOSTILE, predicted, HOSTILE, (problem,)),
        ),
    ]


@pytest.mark.parametrize(("task", "gold", "predicted"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_a_page_carries_hostile_text_as_text(tmp_path: Path, task: Task, gold: Annotation, predicted: Annotation) -> None:
    pairs = make_pairs(gold, predicted)
    page, content = write(tmp_path, task, pairs)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    right, wrong = page.payload["documents"]
    assert (right.get("e"), right["a"][0].get("e")) == (None, 1)
    assert (wrong["i"], wrong["x"], wrong["a"][0]["c"]) == (HOSTILE, pairs[1][0].text, HOSTILE)
    assert wrong["a"][0]["n"] == [["cut_off", HOSTILE]]
    assert wrong["a"][0]["m"]
    assert page.payload["kind"] == task.kind
    assert page.tags.count("script") == 3
    assert not {"img", "link", "iframe", "object"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"url\(|@import", source)
    assert "/home/somebody" not in source
    assert content["meta"] == META


@pytest.mark.parametrize(("task", "gold", "predicted"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_shown_figures_are_those_of_the_json(tmp_path: Path, task: Task, gold: Annotation, predicted: Annotation) -> None:
    pairs = make_pairs(gold, predicted)
    page, content = write(tmp_path, task, pairs)
    score = content["score"]
    figure = score.get("accuracy", score.get("rouge_l", score.get("micro", {}).get("f1")))
    low, high = score["interval"]
    assert f"{figure:.4f}" in page.text
    assert ["r|1", f"{figure:.4f}", f"{low:.4f} – {high:.4f}", ""] in page.cells
    for name, one in score.get("per_type", score.get("fields", score.get("per_label", {}))).items():
        numbers = [f"{one[key]:.4f}" if one[key] is not None else "–" for key in ("precision", "recall", "f1")]
        counts = [f"{one['tp'] + one['fn']:.0f}", f"{one['tp'] + one['fp']:.0f}"]
        shown = [
            [cell for cell in row[1:] if cell not in ("verbatim", "text", "enum")] for row in page.cells if row[:1] == [name]
        ]
        assert [*counts, *numbers] in [row[:5] for row in shown]
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"{figure:.4f}" in markdown


def test_the_atlas_in_the_page_is_the_one_of_the_json(tmp_path: Path) -> None:
    task, gold, predicted = CASES[0]
    pairs = make_pairs(gold, predicted)
    page, content = write(tmp_path, task, pairs, reference=TrainingReference.fit([pairs[0][0]]))
    carried = page.payload
    listed = [
        (row["i"], carried["classes"][one[0]], "fn" if one[6] else "fp")
        for row in carried["documents"]
        for one in row["a"][0].get("m", ())
    ]
    assert listed == [(one["id"], one["class"], one["side"]) for one in content["atlas"]["mistakes"]]
    assert {one[3] for row in carried["documents"] for one in row["a"][0].get("m", ())} == {0, 2}
    total = content["atlas"]["total"]
    (row,) = [cells for cells in page.cells if cells[:1] == ["all全部"]]
    assert row[1:5] == [f"{total['f1']:.4f}", f"{total['tp']}", f"{total['fp']}", f"{total['fn']}"]
    for name in ("by seen", "by length", "seen with this type"):
        assert name in page.text
    for row in content["type_confusion"]["rows"]:
        name = "spurious多余" if row["name"] == "spurious" else row["name"]
        shown = [cells[1:] for cells in page.cells if cells[:1] == [name]]
        assert ["·" if count == 0 else str(count) for count in row["counts"]] in shown
    assert "2 of the scored texts are also in train" in page.text
    assert all(row["k"] == 1 for row in carried["documents"])


def test_confidences_become_a_reliability_table(tmp_path: Path) -> None:
    task, gold, _ = CASES[0]
    sure = Extraction((Span("方", "桂枝汤", 1, 4, 0.95), Span("方", "枝", 2, 3, 0.15)))
    page, content = write(tmp_path, task, make_pairs(gold, sure))
    assert [(one["count"], one["right"]) for one in content["reliability"]["bins"]] == [
        (1, 0.0),
        (1, 1.0),
    ]
    assert content["reliability"]["without"] == 2
    assert content["reliability"]["error"] == pytest.approx(0.1)
    low, _, high = content["reliability"]["band"]
    assert content["reliability"]["items"] == 2
    assert f"would have {low:.4f} to {high:.4f}" in page.text
    assert ["0.950 – 0.950", "1", "0.9500", "1.0000", ""] in page.cells
    silent, content = write(tmp_path, task, make_pairs(gold, gold))
    assert content["reliability"] is None
    assert "These predictions carry no confidence" in silent.text


def test_the_background_stands_in_the_page_without_folders(tmp_path: Path) -> None:
    task, gold, predicted = CASES[2]
    manifest = {
        "seed": 17,
        "versions": {"torch": "2.13"},
        "data": {"train": {"file": "…/t.jsonl", "examples": 7, "dropped": ["a"]}},
        "training": {"train_rows_per_second": 17.25, "dev_rows_per_second": 36.0},
    }
    background = Background({"task": {"kind": "<x>"}}, manifest, "<svg></svg>")
    page, _ = write(tmp_path, task, make_pairs(gold, predicted), background=background)
    assert "kind: <x>" in page.text
    assert "torch 2.13" in page.text
    assert ["dropped丢弃", "1"] in page.cells
    assert "Trained at 17.2 rows/s." in page.text
    assert "Dev rows were predicted and scored at 36.0 rows/s." in page.text
    assert "svg" in page.tags


def test_lone_surrogates_and_no_documents(tmp_path: Path) -> None:
    gold = Extraction((Span("方", "a", 0, 1),))
    page, _ = write(
        tmp_path, SPANS, [(Example("1", "a\ud800b", gold), Prediction("1", Extraction((), (Mention("方", "\udc00"),)), ""))]
    )
    assert page.payload["documents"][0]["x"] == "a?b"
    assert page.payload["documents"][0]["a"][0]["u"] == [[1, "?"]]
    page, content = write(tmp_path, SPANS, [])
    assert "no interval" in page.text
    assert (page.payload["documents"], content["data"]["documents"]) == ([], 0)


def test_answers_that_are_no_prediction_of_the_kind_are_refused(tmp_path: Path) -> None:
    pairs = make_pairs(*CASES[2][1:])
    score = score_predictions(CLASSES, *zip(*pairs, strict=True), resamples=0)  # type: ignore[arg-type]
    wrong = [(Example("1", "a", Extraction()), Prediction("1", Labels(()), ""))]
    with pytest.raises(TypeError, match="Extraction cannot be compared with Labels"):
        write_score_report(tmp_path, assessment=Assessment(score, {}), meta={}, documents=wrong)


@pytest.mark.parametrize(("task", "gold", "predicted"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_markdown_tables_stay_whole(tmp_path: Path, task: Task, gold: Annotation, predicted: Annotation) -> None:
    pairs = make_pairs(gold, predicted)
    score = score_predictions(task, *zip(*pairs, strict=True), resamples=50)  # type: ignore[arg-type]
    overlap = Overlap(("right",), score)
    write_score_report(tmp_path, assessment=Assessment(score, {"majority": score}, overlap=overlap), meta=META, documents=pairs)
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "# r\\|1 · test · scripted"
    assert build_view(score).tiles[0].figure in lines[2]
    assert f"**{overlap}.**" in lines
    assert "* test set hash: ab12" in lines
    columns = {line.count("|") - line.count("\\|") for line in lines if line.startswith("|") and "药" in line}
    assert len(columns) <= 1


@pytest.mark.parametrize(("task", "gold", "predicted"), CASES[::2], ids=["extraction", "classification"])
def test_several_seeds_give_mean_and_deviation(tmp_path: Path, task: Task, gold: Annotation, predicted: Annotation) -> None:
    (right, wrong) = make_pairs(gold, predicted)
    scores = {
        seed: score_predictions(task, [example], [prediction], resamples=20)
        for seed, (example, prediction) in (("seed-1", right), ("seed-2", wrong))
    }
    write_score_seed_report(tmp_path, scores=scores, meta=META)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    key = scores["seed-1"].headline
    assert content["figures"][key] == {"mean": 0.5, "deviation": pytest.approx(0.5**0.5), "count": 2}
    assert set(content["seeds"]) == {"seed-1", "seed-2"}
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "0.5000 ± 0.7071" in page.text
    assert "0.5000 ± 0.7071" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_embedded_json_reads_back_and_cannot_end_its_element() -> None:
    value = {"a": [HOSTILE, None, 1.5, "药"]}
    text = str(embed_json(value))
    assert json.loads(text) == value
    assert not set("<>&") & set(text)
