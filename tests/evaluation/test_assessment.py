"""A score never stands alone: baselines beside it, and what it is without the texts of train."""

from __future__ import annotations

import pytest

from extune.domain.annotation import Answer, Extraction, Labels, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, Task
from extune.errors import DataError
from extune.evaluation.assessment import Assessment, assess
from extune.evaluation.metrics import PRF, ExtractionScore
from extune.evaluation.score import Score
from extune.evaluation.scoring import score_predictions
from extune.evaluation.training_reference import TrainingReference

_TASK = ExtractionTask(types={"药": "", "方": ""})


def _example(id_: str, text: str, *spans: tuple[str, int, int]) -> Example:
    return Example(id_, text, Extraction(tuple(Span(type_, text[start:end], start, end) for type_, start, end in spans)))


_TRAIN = [_example("a", "服黄芪", ("药", 1, 3)), _example("b", "服桂枝汤", ("方", 1, 4)), _example("c", "用当归", ("药", 1, 3))]
_TEST = [_example("1", "黄芪桂枝汤", ("药", 0, 2), ("方", 2, 5)), _example("2", "服 桂枝汤", ("方", 2, 5))]


def _assess(
    examples: list[Example], predictions: list[Prediction], train: list[Example] | None = None, task: Task = _TASK
) -> Assessment:
    reference = None if train is None else TrainingReference.fit(train)
    return assess(score_predictions(task, examples, predictions), task, examples, predictions, reference)


def _micro(score: Score) -> PRF:
    assert isinstance(score, ExtractionScore)
    return score.micro


def _predict(example: Example, spans: int) -> Prediction:
    assert isinstance(example.gold, Extraction)
    return Prediction(example.id, Extraction(example.gold.spans[:spans]), "")


_PREDICTIONS = [_predict(_TEST[0], 1), _predict(_TEST[1], 1)]


def test_the_baselines_are_nothing_the_strings_and_the_strings_with_one_type() -> None:
    baselines = _assess(_TEST, _PREDICTIONS, _TRAIN).baselines
    assert {name: (_micro(one).tp, _micro(one).fp, _micro(one).fn) for name, one in baselines.items()} == {
        "nothing": (0, 0, 3),
        "majority type": (1, 2, 2),
        "gazetteer": (3, 0, 0),
    }
    assert baselines["majority type"].figures()["boundary.f1"] == 1


def test_texts_of_train_are_named_and_the_score_without_them_given() -> None:
    assessment = _assess(_TEST, _PREDICTIONS, _TRAIN)
    assert assessment.overlap is not None
    assert assessment.overlap.ids == ("2",)  # white space does not hide it
    assert assessment.overlap.without is not None
    assert _micro(assessment.overlap.without).fn == 1
    assert assessment.notes() == ("1 of the scored texts are also in train; F1 without them 0.6667",)


def test_nothing_but_texts_of_train() -> None:
    assessment = _assess(_TRAIN, [_predict(one, 1) for one in _TRAIN], _TRAIN)
    assert assessment.overlap is not None
    assert assessment.overlap.without is None
    assert assessment.notes() == ("3 of the scored texts are also in train",)


def test_without_train_only_nothing_can_be_compared_and_the_note_says_so() -> None:
    assessment = _assess(_TEST, _PREDICTIONS)
    assert list(assessment.baselines) == ["nothing"]
    assert assessment.atlas is not None
    assert assessment.overlap is None
    assert "not known" in assessment.notes()[0]
    assert set(assessment.atlas.breakdowns) == {"type", "length", "position"}


def test_a_training_set_without_spans_is_a_gazetteer_that_finds_nothing() -> None:
    baselines = _assess(_TEST, _PREDICTIONS, [Example("a", "服黄芪")]).baselines
    assert [_micro(one).tp for one in baselines.values()] == [0, 0, 0]


def test_other_annotations_are_refused() -> None:
    example, answer = [Example("1", "a", Answer("b"))], [Prediction("1", Answer("b"), "b")]
    with pytest.raises(DataError, match="Answer as gold"):
        _assess(example, answer)
    score = score_predictions(GenerationTask(), example, answer)
    with pytest.raises(DataError, match="Answer as gold"):
        assess(score, _TASK, example, answer)


def test_classes_have_the_majority_of_train_beside_them() -> None:
    task = ClassificationTask(label_names=["轻", "重"])
    train = [Example(str(number), f"第{number}例", Labels((name,))) for number, name in enumerate("轻轻重")]
    test = [Example("a", "第 0 例", Labels(("重",))), Example("b", "新", Labels(("轻",))), Example("c", "旧", Labels(("重",)))]
    found = _assess(test, [Prediction(one.id, Labels(("重",)), "") for one in test], train, task)
    assert {name: score.figures()["accuracy"] for name, score in found.baselines.items()} == {"majority class": 1 / 3}
    assert found.atlas is None
    assert found.notes() == ("1 of the scored texts are also in train; accuracy without them 0.5000",)
    assert _assess(test, [Prediction(one.id, Labels(("重",)), "") for one in test], None, task).baselines == {}


def test_a_text_after_other_turns_is_another_text() -> None:
    train = [Example("1", "好的", Answer("再见"), history=(("头痛", "多休息"),))]
    test = [Example("a", "好的", Answer("再见")), Example("b", "好的", Answer("再见"), history=(("头痛", "多休息"),))]
    found = _assess(test, [Prediction(one.id, Answer("再见"), "") for one in test], train, GenerationTask())
    assert found.overlap is not None
    assert found.overlap.ids == ("b",)
    assert found.baselines == {}
