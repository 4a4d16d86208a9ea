"""A score never stands alone: baselines beside it, and what it is without the texts of train."""

from __future__ import annotations

import pytest

from extune.domain.annotation import Answer, Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import assess
from extune.evaluation.training_reference import TrainingReference

_TYPES = ("药", "方")


def _example(id_: str, text: str, *spans: tuple[str, int, int]) -> Example:
    return Example(id_, text, Extraction(tuple(Span(type_, text[start:end], start, end) for type_, start, end in spans)))


_TRAIN = [_example("a", "服黄芪", ("药", 1, 3)), _example("b", "服桂枝汤", ("方", 1, 4)), _example("c", "用当归", ("药", 1, 3))]
_TEST = [_example("1", "黄芪桂枝汤", ("药", 0, 2), ("方", 2, 5)), _example("2", "服 桂枝汤", ("方", 2, 5))]


def _predict(example: Example, spans: int) -> Prediction:
    assert isinstance(example.gold, Extraction)
    return Prediction(example.id, Extraction(example.gold.spans[:spans]), "")


_PREDICTIONS = [_predict(_TEST[0], 1), _predict(_TEST[1], 1)]


def test_the_baselines_are_nothing_the_strings_and_the_strings_with_one_type() -> None:
    baselines = assess(_TEST, _PREDICTIONS, _TYPES, TrainingReference.fit(_TRAIN)).baselines
    assert {name: (one.micro.tp, one.micro.fp, one.micro.fn) for name, one in baselines.items()} == {
        "nothing": (0, 0, 3),
        "majority type": (1, 2, 2),
        "gazetteer": (3, 0, 0),
    }
    assert baselines["majority type"].boundary.f1 == 1


def test_texts_of_train_are_named_and_the_score_without_them_given() -> None:
    assessment = assess(_TEST, _PREDICTIONS, _TYPES, TrainingReference.fit(_TRAIN))
    assert assessment.overlap is not None
    assert assessment.overlap.ids == ("2",)  # white space does not hide it
    assert assessment.overlap.without is not None
    assert assessment.overlap.without.micro.fn == 1
    assert assessment.notes() == ("1 of the scored texts are also in train; F1 without them 0.6667",)


def test_nothing_but_texts_of_train() -> None:
    assessment = assess(_TRAIN, [_predict(one, 1) for one in _TRAIN], _TYPES, TrainingReference.fit(_TRAIN))
    assert assessment.overlap is not None
    assert assessment.overlap.without is None
    assert assessment.notes() == ("3 of the scored texts are also in train",)


def test_without_train_only_nothing_can_be_compared_and_the_note_says_so() -> None:
    assessment = assess(_TEST, _PREDICTIONS, _TYPES)
    assert list(assessment.baselines) == ["nothing"]
    assert assessment.overlap is None
    assert "not known" in assessment.notes()[0]
    assert set(assessment.atlas.breakdowns) == {"type", "length", "position"}


def test_a_training_set_without_spans_is_a_gazetteer_that_finds_nothing() -> None:
    baselines = assess(_TEST, _PREDICTIONS, _TYPES, TrainingReference.fit([Example("a", "服黄芪")])).baselines
    assert [one.micro.tp for one in baselines.values()] == [0, 0, 0]


def test_other_annotations_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="not Answer"):
        assess([Example("1", "a", Answer("b"))], [Prediction("1", Answer("b"), "b")], _TYPES)
