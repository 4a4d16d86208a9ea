"""Runs are compared on equal documents only, and the figures are those of their own reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.cli.main import main
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.errors import RunError
from extune.evaluation.assessment import assess
from extune.evaluation.scoring import score_predictions
from extune.files import write_json
from extune.reporting.scores_folder import read_scores_folder, write_scores_folder
from extune.stages.compare import OVERALL, compare

_TYPES = ("药", "症")
_TASK = ExtractionTask(types=dict.fromkeys(_TYPES, ""))
_TEXT = "服黄芪治头痛"
_DRUG, _SIGN = Span("药", "黄芪", 1, 3), Span("症", "头痛", 4, 6)
_EXAMPLES = [Example(f"t-{number}", _TEXT, Extraction((_DRUG, _SIGN))) for number in range(40)]
_HASH = {"file": "test.txt", "test_set_hash": "ab"}


def _write(folder: Path, right: int, meta: dict[str, object] | None = None, examples: list[Example] | None = None) -> Path:
    """Scores of a system that answers the first `right` documents, and of the others the drug only, with a problem."""
    examples = examples or _EXAMPLES
    predictions = []
    for number, example in enumerate(examples):
        problems = () if number < right else (Problem(ProblemKind.UNPARSEABLE, "?"),)
        spans = (_DRUG, _SIGN) if number < right else (_DRUG,)
        predictions.append(Prediction(example.id, Extraction(spans), "", problems))
    score = score_predictions(_TASK, examples, predictions)
    assessment = assess(score, _TASK, examples, predictions)
    write_scores_folder(folder, list(zip(examples, predictions, strict=True)), assessment, meta or _HASH)
    return folder


def _make_run(folder: Path, right: int) -> Path:
    _write(folder / "scores" / "test" / "transformers", right)
    return folder


def test_the_figures_are_those_of_the_reports(tmp_path: Path) -> None:
    runs = [_make_run(tmp_path / "a", 10), _make_run(tmp_path / "b", 30)]
    report = compare(runs)
    (comparison,) = report.comparisons
    scores = [read_scores_folder(run / "scores" / "test" / "transformers").report["score"] for run in runs]
    for name, found in comparison.differences.items():
        ours = [score["micro"] if name == OVERALL else score["per_type"][name] for score in scores]
        assert (found.first, found.second) == (ours[0]["f1"], ours[1]["f1"])
    assert list(comparison.differences) == [OVERALL, *_TYPES]
    assert comparison.differences["药"].p_value == 1
    assert comparison.differences["症"].low > 0
    assert comparison.differences["症"].p_value < 0.01
    board = {one.name: one.counts.f1 for one in report.leaderboard}
    assert board == {str(runs[1]): scores[1]["micro"]["f1"], str(runs[0]): scores[0]["micro"]["f1"], "nothing (baseline)": 0}
    assert [one.counts.f1 for one in report.leaderboard] == sorted(board.values(), reverse=True)
    assert list(report.leaderboard[0].interval or ()) == scores[1]["interval"]


def test_fixed_and_broken_are_named(tmp_path: Path) -> None:
    (there,) = compare([_make_run(tmp_path / "a", 10), _make_run(tmp_path / "b", 12)]).comparisons
    (back,) = compare([tmp_path / "b", tmp_path / "a"]).comparisons
    assert (there.fixed, there.broken) == (("t-10", "t-11"), ())
    assert (back.fixed, back.broken) == ((), ("t-10", "t-11"))


def test_several_runs_and_a_folder_of_scores(tmp_path: Path) -> None:
    foreign = _write(tmp_path / "foreign", 20)
    report = compare([_make_run(tmp_path / "a", 10), _make_run(tmp_path / "b", 30), foreign])
    assert [one.second for one in report.comparisons] == [str(tmp_path / "b"), str(foreign)]
    assert [one.name for one in report.leaderboard][:3] == [str(tmp_path / "b"), str(foreign), str(tmp_path / "a")]


def test_seeds_of_one_training_are_averaged(tmp_path: Path) -> None:
    for seed, right in ((1, 10), (2, 20), (3, 12)):
        _make_run(tmp_path / "s" / f"seed-{seed}", right)
    write_json(tmp_path / "s" / "summary.json", {"seeds": [1, 2, 3]})
    report = compare([_make_run(tmp_path / "a", 10), tmp_path / "s"])
    (comparison,) = report.comparisons
    assert comparison.fixed == ("t-10", "t-11")  # right in two of three seeds
    seeds = {one.name: one for one in report.leaderboard}[str(tmp_path / "s")]
    assert (seeds.seeds, seeds.counts.tp) == (3, 120 + 42)
    assert comparison.differences[OVERALL].second == pytest.approx(seeds.counts.f1)


@pytest.mark.parametrize("other", [{"file": "b.txt", "test_set_hash": "cd"}, {"file": "b.txt"}])
def test_different_test_sets_are_refused_by_name(tmp_path: Path, other: dict[str, object]) -> None:
    one, two = _write(tmp_path / "one", 3), _write(tmp_path / "two", 3, other)
    with pytest.raises(RunError, match="different test sets") as caught:
        compare([one, two])
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)
    assert "b.txt" in str(caught.value)


def test_one_file_read_differently_is_refused(tmp_path: Path) -> None:
    short = _write(tmp_path / "short", 3, examples=_EXAMPLES[:30])
    with pytest.raises(RunError, match="read differently"):
        compare([_write(tmp_path / "one", 3), short])


def test_what_was_never_evaluated_or_alone_is_refused(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "a", 3)
    with pytest.raises(RunError, match="two or more"):
        compare([run])
    (tmp_path / "b").mkdir()
    with pytest.raises(RunError, match=r"report\.json"):
        compare([run, tmp_path / "b"])
    (run / "scores" / "test" / "transformers" / "predictions.jsonl").unlink()
    with pytest.raises(RunError, match=r"predictions\.jsonl"):
        compare([run, run])


def _write_other(folder: Path, task: Task, gold: Annotation, wrong: Annotation, right: int) -> Path:
    """Scores of another kind of task, of which the first `right` of ten documents are right."""
    examples = [Example(str(number), "a", gold) for number in range(10)]
    predictions = [Prediction(one.id, gold if number < right else wrong, "") for number, one in enumerate(examples)]
    assessment = assess(score_predictions(task, examples, predictions), task, examples, predictions)
    write_scores_folder(folder, list(zip(examples, predictions, strict=True)), assessment, _HASH)
    return folder


@pytest.mark.parametrize(
    ("task", "gold", "wrong"),
    [
        (ClassificationTask(label_names=["A", "B"]), Labels(("A",)), Labels(("B",))),
        (RecordTask(fields={"a": RecordField(kind="text")}), Fields({"a": "甲乙"}), Fields({"a": "甲"})),
        (GenerationTask(), Answer("甲乙"), Answer("甲")),
    ],
    ids=["classification", "record", "generation"],
)
def test_other_kinds_are_compared_by_their_headline(tmp_path: Path, task: Task, gold: Annotation, wrong: Annotation) -> None:
    folders = [_write_other(tmp_path / name, task, gold, wrong, right) for name, right in (("a", 4), ("b", 8))]
    report = compare(folders, resamples=200)
    (comparison,) = report.comparisons
    scores = [json.loads((folder / "report.json").read_text(encoding="utf-8"))["score"] for folder in folders]
    headlines = [score.get(report.headline) or score["micro"]["f1"] for score in scores]
    overall = comparison.differences[OVERALL]
    assert [overall.first, overall.second] == pytest.approx(headlines)
    assert [one.figure for one in report.leaderboard] == pytest.approx(headlines[::-1])
    assert (comparison.fixed, comparison.broken) == (("4", "5", "6", "7"), ())


def test_different_kinds_are_refused(tmp_path: Path) -> None:
    one, other = (ClassificationTask(label_names=["A", "B"], multi_label=several) for several in (False, True))
    folders = [_write_other(tmp_path / str(task.multi_label), task, Labels(("A",)), Labels(()), 5) for task in (one, other)]
    with pytest.raises(RunError, match=r"different kinds of tasks: .* has accuracy, .* has F1"):
        compare(folders)


def test_the_command_prints_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(_make_run(tmp_path / name, right)) for name, right in (("a", 10), ("b", 30))]
    assert main(["compare", *runs, "--json", str(tmp_path / "out.json"), "--resamples", "200"]) == 0
    printed = capsys.readouterr().out
    assert "fixed: 20 documents (t-10" in printed
    assert "and 10 more" in printed
    content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(compare(runs, resamples=200).to_json()))
    assert content["comparisons"][0]["fixed"]["count"] == 20
    assert f"{content['comparisons'][0]['differences'][OVERALL]['difference']:+.3f}" in printed
    assert main(["compare", runs[0]]) == 2
