"""Reports of records, classes and answers: what differs is shown, escaped, and the three files agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example, Source
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ClassificationTask, GenerationTask, RecordField, RecordTask, Task
from extune.evaluation.assessment import Assessment, Overlap
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.scoring import score_predictions
from extune.reporting.answers import write_answer_report
from extune.reporting.reports import write_score_report, write_score_seed_report
from extune.reporting.views import build_view

RECORD = RecordTask(fields={"药|名": RecordField(kind="verbatim"), "结论": RecordField(kind="text")})
CLASSES = ClassificationTask(label_names=["科技", "<体育>"])
CASES: list[tuple[Task, Annotation, Annotation, str]] = [
    (RECORD, Fields({"药|名": ("黄芪",), "结论": "气虚"}), Fields({"结论": "<b>气虚"}), "&lt;b&gt;气虚"),
    (CLASSES, Labels(("科技",)), Labels(("<体育>",)), "&lt;体育&gt;"),
    (GenerationTask(), Answer("多休息"), Answer("<script>"), "&lt;script&gt;"),
]


def documents(gold: Annotation, predicted: Annotation) -> list[tuple[Example, Prediction]]:
    problem = Problem(ProblemKind.CUT_OFF, "尾")
    return [
        (Example("right", "原文", gold), Prediction("right", gold, "")),
        (Example("wrong", "原<文>", gold, source=Source("t", 7)), Prediction("wrong", predicted, "答<卷>", (problem,))),
    ]


@pytest.mark.parametrize(("task", "gold", "predicted", "shown"), CASES, ids=lambda value: getattr(value, "kind", ""))
def test_the_three_files(tmp_path: Path, task: Task, gold: Annotation, predicted: Annotation, shown: str) -> None:
    pairs = documents(gold, predicted)
    loss = TargetLoss(1.0, 4) if isinstance(task, GenerationTask) else None
    score = score_predictions(task, *zip(*pairs, strict=True), loss=loss, resamples=50)  # type: ignore[arg-type]
    assessment = Assessment(score, {"majority": score}, overlap=Overlap(("right",), score))
    write_score_report(tmp_path, assessment=assessment, meta={"run": "r|1"}, documents=pairs)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["score"] == content["baselines"]["majority"] == json.loads(json.dumps(score.to_json()))
    page, text = ((tmp_path / f"report.{ending}").read_text(encoding="utf-8") for ending in ("html", "md"))
    headline = build_view(score).tiles[0]
    assert headline.figure in page
    assert str(assessment.overlap) in page
    assert f"**{assessment.overlap}.**" in text.split("\n")
    assert text.split("\n")[2].startswith(f"**{headline.name} {headline.figure}**")
    for piece in (shown, "原&lt;文&gt;", "答&lt;卷&gt;", "t:7", "cut_off: 尾"):
        assert piece in page
    assert "<script>" not in page
    assert page.count("<article>") == 1
    columns = {line.count("|") - line.count("\\|") for line in text.split("\n") if line.startswith("|") and "药" in line}
    assert len(columns) <= 1


def test_several_seeds(tmp_path: Path) -> None:
    task, gold, predicted, _ = CASES[1]
    pairs = documents(gold, predicted)
    half = score_predictions(task, *zip(*pairs, strict=True), resamples=20)  # type: ignore[arg-type]
    whole = score_predictions(task, [pairs[0][0]], [pairs[0][1]], resamples=20)
    write_score_seed_report(tmp_path, scores={"seed-1": half, "seed-2": whole}, meta={"run": "r"})
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["figures"]["accuracy"] == {"mean": 0.75, "deviation": pytest.approx(0.125**0.5), "count": 2}
    for ending in ("html", "md"):
        assert "0.7500 ± 0.3536" in (tmp_path / f"report.{ending}").read_text(encoding="utf-8")


def test_spans_have_a_page_of_their_own(tmp_path: Path) -> None:
    task, gold, predicted, _ = CASES[1]
    pairs = documents(gold, predicted)
    score = score_predictions(task, *zip(*pairs, strict=True), resamples=0)  # type: ignore[arg-type]
    wrong = [(Example("1", "a", Extraction()), Prediction("1", Extraction(), ""))]
    with pytest.raises(TypeError, match="cannot show Extraction"):
        write_answer_report(tmp_path, score=score, meta={}, documents=wrong)
