"""A classification weighs its labels: one of them is chosen whatever the model says, and all have a probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.annotation import Labels
from extune.domain.example import Example
from extune.domain.prediction import ProblemKind
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask
from extune.engines.engine import AnswerScorer, DecodingOptions
from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import RecipeError
from extune.predicting.open import build_encoder, build_predictor
from extune.predicting.parity import collect_answers, find_flips, measure_margins
from extune.predicting.predictor import Predictor
from extune.runs.contract import Contract
from extune.tokens.plain_text import decode_completion, encode_text

ContractMaker = Callable[..., Contract]
Weigh = Callable[[str, str], float]  # log-probability of an answer to a text

NAMES = ("体育", "体育新闻", "财；经", "Economy")
TASK = ClassificationTask.model_validate({"label_names": NAMES})


class WeighingEngine(ScriptedEngine):
    """Scores candidates by a function, and writes a text that is no label where it is asked to write."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, weigh: Weigh) -> None:
        super().__init__(lambda _: "written")
        self._tokenizer, self._weigh = tokenizer, weigh

    def score_candidates(
        self, prompts: Sequence[Prompt], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        return [
            tuple(self._weigh(prompt.text, decode_completion(self._tokenizer, ids[:-1])) for ids in answers)
            for prompt, answers in zip(prompts, candidates, strict=True)
        ]


@pytest.fixture(scope="module")
def contract(make_contract: ContractMaker) -> Contract:
    return make_contract(task=TASK, format="choice")


def predictor(
    tokenizer: PreTrainedTokenizerBase, contract: Contract, weigh: Weigh, options: DecodingOptions | None = None
) -> Predictor:
    return Predictor(build_encoder(tokenizer, contract), WeighingEngine(tokenizer, weigh), options or DecodingOptions())


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_likeliest_label_is_chosen(data: st.DataObject, tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    names = data.draw(st.lists(st.text("体育；\\\n a", min_size=1, max_size=4), min_size=2, max_size=5, unique=True))
    logprobs = data.draw(st.lists(st.integers(-2000, 0).map(float), min_size=len(names), max_size=len(names)))
    given_order = iter(logprobs)
    asked = predictor(tokenizer, contract, lambda _text, _answer: next(given_order))
    (prediction,) = asked.predict_many([Example("a", "文", candidates=tuple(names))])
    assert prediction.annotation == Labels((names[logprobs.index(max(logprobs))],))
    assert prediction.problems == ()
    assert list(prediction.probabilities) == names
    assert math.fsum(prediction.probabilities.values()) == pytest.approx(1)
    for one, other in zip(names[1:], names, strict=False):
        odds = logprobs[names.index(one)] - logprobs[names.index(other)]
        if abs(odds) < 500:
            found, against = prediction.probabilities[one], prediction.probabilities[other]
            assert found == pytest.approx(against * math.exp(odds), rel=1e-6, abs=1e-12)


def test_probabilities_are_those_of_each_answer_alone(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract
) -> None:
    asked = build_predictor(base_model, tokenizer, contract)
    examples = [Example("a", "女排夺冠"), Example("b", "股市上涨", candidates=NAMES[1:]), Example("c", "")]
    predictions = list(asked.predict_many(examples))
    assert isinstance(asked.engine, AnswerScorer)
    for example, prediction in zip(examples, predictions, strict=True):
        (prompt,) = asked.encoder.encode_prompts(example)
        names = list(example.candidates or NAMES)
        texts = [name.replace("；", "\\；") for name in names]
        ids = [(*encode_text(tokenizer, text), contract.stop_token_ids[0]) for text in texts]
        scored = asked.engine.score_answers([replace(prompt, grammar=None)] * len(ids), ids)
        weights = [math.exp(math.fsum(one or ())) for one in scored]
        expected = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
        assert prediction.probabilities == pytest.approx(expected, abs=1e-4)
        assert prediction.annotation == Labels((max(expected, key=expected.__getitem__),))


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"constrain": False}, DecodingOptions()),
        ({}, DecodingOptions(temperature=0.5)),
        ({}, DecodingOptions(max_new_tokens=9)),
        ({}, DecodingOptions(repetition_penalty=1.1)),
        ({"task": TASK.model_copy(update={"multi_label": True}), "format": "choices"}, DecodingOptions()),
    ],
)
def test_answers_are_written_where_more_than_a_label_is_asked(
    tokenizer: PreTrainedTokenizerBase, contract: Contract, changes: dict[str, object], options: DecodingOptions
) -> None:
    asked = predictor(tokenizer, contract.model_copy(update=changes), lambda _text, _answer: 0.0, options)
    (prediction,) = asked.predict_many([Example("a", "文")])
    assert (prediction.completion, dict(prediction.probabilities)) == ("written", {})
    with pytest.raises(RecipeError, match="probabilities of labels"):
        list(replace(asked, options=replace(options, prior="contextual")).predict_many([Example("a", "文")]))


def test_a_prior_takes_out_what_every_text_gets(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    def weigh(text: str, answer: str) -> float:
        """`Economy` is likely whatever the text; a text is a little likelier to be what it names."""
        return (3.0 if answer == "Economy" else 0.0) + (1.0 if answer in text else 0.0)

    example = Example("a", "体育新闻", candidates=("体育新闻", "Economy"))
    (plain,) = predictor(tokenizer, contract, weigh).predict_many([example])
    (corrected,) = predictor(tokenizer, contract, weigh, DecodingOptions(prior="contextual")).predict_many([example])
    assert plain.annotation == Labels(("Economy",))
    assert corrected.annotation == Labels(("体育新闻",))
    odds = corrected.probabilities["体育新闻"] / corrected.probabilities["Economy"]
    assert odds == pytest.approx(math.e)
    assert corrected.decoding["prior"] == "contextual"


def test_a_text_that_is_dropped_has_no_probabilities(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    short = contract.model_copy(update={"max_input_tokens": 120, "on_too_long": "drop"})
    asked = predictor(tokenizer, short, lambda _text, _answer: 0.0)
    long, fits = asked.predict_many([Example("a", "文" * 200), Example("b", "文")])
    assert [problem.kind for problem in long.problems] == [ProblemKind.TOO_LONG]
    assert (dict(long.probabilities), len(fits.probabilities)) == ({}, len(NAMES))


def test_parity_compares_weighed_labels(tokenizer: PreTrainedTokenizerBase, contract: Contract) -> None:
    def weigh(likeliest: str) -> Weigh:
        return lambda text, answer: (2.0 if answer == likeliest else 0.0) + (3.0 if answer in text else 0.0)

    examples = [Example("a", "无"), Example("b", "体育")]
    one, other = (predictor(tokenizer, contract, weigh(name)) for name in ("Economy", "体育新闻"))
    first, second = collect_answers(one, examples), collect_answers(other, examples)
    assert [answer.text for answer in first.completions] == ["Economy", "体育"]
    assert first.predictions == tuple(one.predict_many(examples))
    (flip,) = find_flips(first, second)
    assert (flip.example_id, flip.first, flip.second) == ("a", "Economy", "体育新闻")
    assert flip.margin == pytest.approx(2.0)  # in the eyes of the first
    assert measure_margins(one.engine, first, second, [flip]) == [flip]


def test_unknown_priors_are_refused() -> None:
    with pytest.raises(RecipeError, match="none or contextual"):
        DecodingOptions(prior="batch")
