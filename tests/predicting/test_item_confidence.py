"""Which tokens make an item's confidence, in every format; and that answers do not depend on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.tokens.test_encode_byte_level import build
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from extune.domain.annotation import Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Completion
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.engines.engine import DecodingOptions
from extune.predicting.item_confidence import score_items
from extune.predicting.open import build_predictor
from extune.prompts.formats import build_format
from extune.prompts.reading import read_completion
from extune.runs.contract import Contract
from extune.tokens.plain_text import encode_text

SPANS = ExtractionTask(types={"药": "", "症": ""})
RECORD = RecordTask(
    fields={
        "药": RecordField(kind="verbatim"),
        "程": RecordField(kind="enum", of=["急", "慢"]),
        "论": RecordField(kind="text"),
    }
)


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    """Knows none of the characters of the items: each is several tokens."""
    return build(extra_is_special=False)


def complete(tokenizer: PreTrainedTokenizerBase, text: str, doubtful: str) -> Completion:
    """A completion whose first token that holds a byte of the character `doubtful` has probability 1/2, all others 1."""
    ids = encode_text(tokenizer, text)
    logprobs = [0.0] * (len(ids) + 1)
    if doubtful == "stop":
        logprobs[-1] = math.log(0.5)
    else:
        before = encode_text(tokenizer, text[: text.index(doubtful)])
        assert ids[: len(before)] == before, "the character begins a token"
        logprobs[len(before)] = math.log(0.5)
    return Completion(text, "stop", len(ids) + 1, tuple(logprobs), (*ids, 0))


def confidences(tokenizer: PreTrainedTokenizerBase, task: Task, name: str, text: str, completion: Completion) -> list[object]:
    annotation, problems = read_completion(task, build_format(name), text, completion.text, score_items(completion, tokenizer))
    assert not problems
    if isinstance(annotation, Extraction):
        return [span.confidence for span in annotation.spans]
    assert isinstance(annotation, Fields | Labels)
    return [item[-1] for item in annotation.items()]


@pytest.mark.parametrize(
    ("name", "task", "text", "completion", "doubtful", "expected"),
    [
        ("lines", SPANS, "鑫淼焱", "药：鑫；焱", "鑫", [0.5, 1]),
        ("lines", SPANS, "鑫淼焱", "药：鑫；焱", "；", [0.5, 0.5]),  # ends one, and says that there is another
        ("lines", SPANS, "鑫淼焱", "药：鑫；焱", "stop", [1, 0.5]),
        ("lines", SPANS, "鑫淼焱", "药：鑫；焱", "药", [1, 1]),  # the type of a line is no part of a mention
        ("pairs", SPANS, "鑫淼焱", "鑫_药\n焱_症", "药", [0.5, 1]),
        ("pairs", SPANS, "鑫淼焱", "鑫_药\n焱_症", "stop", [1, 0.5]),
        ("inline", SPANS, "鑫淼焱", "[鑫|药]淼焱", "药", [0.5]),
        ("inline", SPANS, "鑫淼焱", "[鑫|药]淼焱", "焱", [1]),
        ("json", SPANS, "鑫淼焱", '{"药":["鑫"]}', "鑫", [0.5]),
        ("bio", SPANS, "鑫", "B-药", "药", [0.5]),
        ("fields", RECORD, "鑫淼焱", "药：鑫；焱\n程：急\n论：淼", "急", [1, 1, 0.5, None]),
        ("fields", RECORD, "鑫淼焱", "药：鑫；焱\n程：急\n论：淼", "焱", [1, 0.5, 1, None]),
        ("choice", ClassificationTask(label_names=["鑫", "淼"]), "x", "鑫", "stop", [0.5]),
        ("choices", ClassificationTask(label_names=["鑫", "淼"], multi_label=True), "x", "鑫；淼", "淼", [1, 0.5]),
    ],
)
def test_the_tokens_that_decide_an_item(
    name: str,
    task: Task,
    text: str,
    completion: str,
    doubtful: str,
    expected: list[float | None],
    byte_level: PreTrainedTokenizerFast,
) -> None:
    made = complete(byte_level, completion, doubtful)
    assert confidences(byte_level, task, name, text, made) == [one if one is None else pytest.approx(one) for one in expected]


def test_a_token_that_crosses_an_items_border_counts_for_both() -> None:
    class Crossing:
        """Two tokens: `药：甲；` and `乙`."""

        def decode(self, ids: list[int], **_: object) -> str:
            return "".join({1: "药：甲；", 2: "乙"}[one] for one in ids)

    completion = Completion("药：甲；乙", "stop", 3, (math.log(0.5), 0.0, math.log(0.25)), (1, 2, 0))
    score = score_items(completion, Crossing())  # type: ignore[arg-type]
    annotation, _ = read_completion(SPANS, build_format("lines"), "甲乙", completion.text, score)
    assert isinstance(annotation, Extraction)
    assert [span.confidence for span in annotation.spans] == [pytest.approx(0.5), pytest.approx(0.125)]


def test_an_answer_that_was_cut_off_has_no_token_behind_its_last_item(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = encode_text(tokenizer, "药：鑫")
    completion = Completion("药：鑫", "length", len(ids), (*[0.0] * (len(ids) - 1), math.log(0.5)), tuple(ids))
    assert confidences(tokenizer, SPANS, "lines", "鑫", completion) == [pytest.approx(0.5)]


@pytest.mark.parametrize("lost", [{"logprobs": None}, {"token_ids": None}, {"text": "药：甲乙丙"}])
def test_without_log_probabilities_or_their_tokens_nothing_is_said(tokenizer: PreTrainedTokenizerBase, lost: dict) -> None:
    ids = encode_text(tokenizer, "药：甲")
    values = {"text": "药：甲", "logprobs": (0.0,) * (len(ids) + 1), "token_ids": (*ids, 0)} | lost
    assert score_items(Completion(finish="stop", token_count=len(ids) + 1, **values), tokenizer) is None


def test_the_engine_gives_confidences_and_calibration_changes_no_answer(
    base_model: object, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> None:
    predictor = build_predictor(base_model, tokenizer, make_contract(max_answer_tokens=24), DecodingOptions())  # type: ignore[arg-type]
    examples = [
        Example(str(number), text) for number, text in enumerate(["黄芪30克，补气固表。", "患者咳嗽三天，予桂枝汤加减。"])
    ]
    raw = list(predictor.predict_many(examples))
    halved = list(replace(predictor, calibrate=lambda value: value / 2).predict_many(examples))
    assert raw == halved
    found = [
        (span.confidence, half.confidence)
        for one, other in zip(raw, halved, strict=True)
        if isinstance(one.annotation, Extraction) and isinstance(other.annotation, Extraction)
        for span, half in zip(one.annotation.spans, other.annotation.spans, strict=True)
    ]
    assert found
    assert all(whole is not None and half is not None and 0 < half < whole <= 1 for whole, half in found)
    free = build_predictor(base_model, tokenizer, make_contract(task=GenerationTask(), format="answer", max_answer_tokens=4))  # type: ignore[arg-type]
    assert isinstance(free.predict("你好"), Answer)
