"""From text to prediction: every example once and in order, windows merged, and bad output is data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, ProblemKind
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import DataError
from extune.predicting.open import build_encoder
from extune.predicting.predictor import Predictor
from extune.runs.contract import Contract

PredictorMaker = Callable[..., Predictor]


@pytest.fixture
def make_predictor(tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]) -> PredictorMaker:
    def make(answer: Callable[[Prompt], str], options: DecodingOptions | None = None, **changes: object) -> Predictor:
        encoder = build_encoder(tokenizer, make_contract(**changes))
        return Predictor(encoder, ScriptedEngine(answer), options or DecodingOptions())

    return make


def copy_all(prompt: Prompt) -> str:
    """The answer that names every 黄芪 of the text."""
    return "药：" + "；".join(["黄芪"] * prompt.text.count("黄芪")) if "黄芪" in prompt.text else "无"


def kinds(prediction: Prediction) -> list[ProblemKind]:
    return [problem.kind for problem in prediction.problems]


def test_one_text(make_predictor: PredictorMaker) -> None:
    assert make_predictor(copy_all).predict("用黄芪补气") == Extraction((Span("药", "黄芪", 1, 3),))
    assert make_predictor(copy_all).predict("") == Extraction()


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_every_example_once_and_in_order(chunk: int, make_predictor: PredictorMaker) -> None:
    examples = [Example(f"{number % 4}", "啊" * number + "黄芪") for number in range(10)]
    predictions = list(make_predictor(copy_all).predict_many(iter(examples), chunk))
    assert [prediction.example_id for prediction in predictions] == [example.id for example in examples]
    starts = [
        prediction.annotation.spans[0].start for prediction in predictions if isinstance(prediction.annotation, Extraction)
    ]
    assert starts == list(range(10))


def test_a_stream_is_read_no_further_than_needed(make_predictor: PredictorMaker) -> None:
    read = []

    def stream() -> Iterator[Example]:
        for number in range(100):
            read.append(number)
            yield Example(str(number), "黄芪")

    predictions = make_predictor(copy_all).predict_many(stream(), chunk=5)
    next(predictions)
    assert len(read) == 5


def test_bad_answers_are_problems_not_errors(make_predictor: PredictorMaker) -> None:
    (prediction,) = make_predictor(lambda _: "药：甘草\n乱写").predict_many([Example("a", "黄芪")])
    assert prediction.annotation == Extraction(ungrounded=(Mention("药", "甘草"),))
    assert ProblemKind.UNGROUNDED in kinds(prediction)
    assert ProblemKind.UNPARSEABLE in kinds(prediction)
    assert prediction.completion == "药：甘草\n乱写"


@pytest.mark.parametrize(("budget", "whole"), [(3, 0), (4, 0), (5, 1), (6, 1), (7, 1), (8, 2)])
def test_a_cut_off_answer_keeps_its_whole_mentions(budget: int, whole: int, make_predictor: PredictorMaker) -> None:
    predictor = make_predictor(copy_all, DecodingOptions(max_new_tokens=budget))
    (prediction,) = predictor.predict_many([Example("a", "黄芪和黄芪和黄芪")])
    assert prediction.completion == "药：黄芪；黄芪；黄芪"[:budget]
    assert prediction.annotation == Extraction((Span("药", "黄芪", 0, 2), Span("药", "黄芪", 3, 5))[:whole])
    assert kinds(prediction) == [ProblemKind.CUT_OFF]
    assert prediction.decoding["max_new_tokens"] == budget


class TestLongTexts:
    """A text beyond the budget follows the contract."""

    text = "啊黄芪。" * 100

    def test_error(self, make_predictor: PredictorMaker) -> None:
        with pytest.raises(DataError):
            list(make_predictor(copy_all, max_input_tokens=200).predict_many([Example("a", self.text)]))

    def test_dropped_texts_are_predictions_with_a_problem(self, make_predictor: PredictorMaker) -> None:
        predictor = make_predictor(copy_all, max_input_tokens=200, on_too_long="drop")
        long, short = predictor.predict_many([Example("long", self.text), Example("short", "黄芪")])
        assert (long.annotation, kinds(long)) == (Extraction(), [ProblemKind.TOO_LONG])
        assert short.annotation == Extraction((Span("药", "黄芪", 0, 2),))

    def test_windows_merge_to_the_whole_texts_answer(self, make_predictor: PredictorMaker) -> None:
        predictor = make_predictor(copy_all, max_input_tokens=200, on_too_long="window", window_overlap=10)
        (prediction,) = predictor.predict_many([Example("a", self.text)])
        assert isinstance(prediction.annotation, Extraction)
        assert [span.start for span in prediction.annotation.spans] == list(range(1, 400, 4))
        assert prediction.completion.count("\f") > 0
        assert prediction.problems == ()
