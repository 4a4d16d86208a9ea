"""Scores of real rows: gold against gold is perfect, silence has no recall, one right answer counts as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.data.readers import read_examples
from extune.domain.annotation import Extraction, Fields
from extune.domain.example import Example
from extune.domain.prediction import Prediction, ProblemKind
from extune.domain.task import ExtractionTask, RecordField, RecordTask
from extune.evaluation.metrics import ExtractionScore
from extune.evaluation.record_metrics import RecordScore
from extune.evaluation.scoring import score_predictions
from extune.prompts.formats import build_format
from extune.prompts.formats.base import require_representable
from extune.prompts.reading import read_completion

VERBATIM = ("药品名称", "药物类别", "医疗检查", "医疗操作")
FREE = ("现病史", "辅助检查", "诊断结果", "医疗建议")
DIALOGUES = RecordTask(
    fields={name: RecordField(kind="verbatim") for name in VERBATIM} | {name: RecordField(kind="text") for name in FREE}
)


@pytest.fixture(scope="module")
def dialogues(shared_data: Path) -> list[Example]:
    """The 50 real rows; the output is JSON between two fences."""
    examples = []
    lines = (shared_data / "imcs_dialogue" / "instruction_test.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        row = json.loads(line)
        values = json.loads(row["output"].strip().removeprefix("```json").removesuffix("```"))
        gold = Fields({name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
        examples.append(Example(str(number), row["input"], gold, row["instruction"]))
    return examples


@pytest.fixture(scope="module")
def herbs(shared_data: Path) -> tuple[ExtractionTask, tuple[Example, ...]]:
    examples = read_examples(shared_data / "tcm_ner" / "medical_test.txt").examples
    types = sorted({span.type for example in examples for span in gold_of(example).spans})
    return ExtractionTask(types=types), examples


def gold_of(example: Example) -> Extraction:
    assert isinstance(example.gold, Extraction)
    return example.gold


def predict(task: RecordTask | ExtractionTask, example: Example, completion: str) -> Prediction:
    annotation, problems = read_completion(task, build_format(task.answer_formats[0]), example.text, completion)
    return Prediction(example.id, annotation, completion, problems)


def test_gold_dialogues_rendered_and_read_score_one_in_every_field(dialogues: list[Example]) -> None:
    assert len(dialogues) == 50
    answer_format = build_format("fields")
    predictions = []
    for example in dialogues:
        assert isinstance(example.gold, Fields)
        require_representable(answer_format, DIALOGUES, example.text, example.gold, example.id)
        predictions.append(predict(DIALOGUES, example, answer_format.render_target(DIALOGUES, example.text, example.gold)))
    score = score_predictions(DIALOGUES, dialogues, predictions, resamples=100)
    assert isinstance(score, RecordScore)
    assert set(score.figures().values()) == {1.0}
    assert {name for name, one in score.fields.items() if one.leaves.is_empty} == set()
    assert (score.interval, score.exact_documents) == ((1, 1), 50)


def test_empty_but_valid_dialogue_answers_score_nothing(dialogues: list[Example]) -> None:
    score = score_predictions(DIALOGUES, dialogues, [predict(DIALOGUES, example, "无") for example in dialogues], resamples=0)
    assert isinstance(score, RecordScore)
    assert (score.parseable, score.micro.f1, score.presence.recall) == (1, 0, 0)


def test_a_predictor_that_answers_nothing_has_no_recall(herbs: tuple[ExtractionTask, tuple[Example, ...]]) -> None:
    task, examples = herbs
    score = score_predictions(task, examples, [predict(task, example, "无") for example in examples], resamples=0)
    assert isinstance(score, ExtractionScore)
    assert (score.documents, score.micro.recall, score.micro.f1) == (658, 0, 0)


def test_one_right_sentence_among_unparseable_ones(herbs: tuple[ExtractionTask, tuple[Example, ...]]) -> None:
    task, examples = herbs
    right = next(example for example in examples if gold_of(example).spans)
    target = build_format("lines").render_target(task, right.text, gold_of(right))
    predictions = [predict(task, example, target if example is right else "???") for example in examples]
    score = score_predictions(task, examples, predictions, resamples=0)
    assert isinstance(score, ExtractionScore)
    found, gold = len(gold_of(right).spans), sum(len(gold_of(example).spans) for example in examples)
    assert score.problems[ProblemKind.UNPARSEABLE] == 657
    assert (score.micro.tp, score.micro.fp, score.micro.fn) == (found, 657, gold - found)
    assert score.micro.f1 == pytest.approx(2 * found / (found + 657 + gold))
