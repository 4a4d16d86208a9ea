"""How probable an annotation is: of any the format can hold, also where the grammar cannot write it, the text is cut, or it is
longer than an answer may be."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Labels, Span
from extune.domain.example import Example
from extune.domain.task import ClassificationTask
from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import EngineError
from extune.predicting.confidence import AnnotationScorer
from extune.predicting.open import build_predictor
from extune.predicting.predictor import Predictor
from extune.runs.contract import Contract

TEXT = "黄芪三十克，补气固表，当归五克，头痛。"
BOTH = Extraction((Span("药", "黄芪", 0, 2), Span("症", "头痛", 16, 18)))
NESTED = Extraction((Span("药", "黄芪", 0, 2), Span("药", "黄芪三十克", 0, 5)))  # two mentions that begin together

MakeScorer = Callable[..., AnnotationScorer]


@pytest.fixture
def make_scorer(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> MakeScorer:
    return lambda **changes: AnnotationScorer(build_predictor(base_model, tokenizer, make_contract(**changes)))


def test_every_set_of_labels_is_scored_and_their_probabilities_add_up_to_one(make_scorer: MakeScorer) -> None:
    task = ClassificationTask(label_names=["好转", "无效", "恶化"])
    scorer = make_scorer(task=task, format="choice", format_version=1)
    example = Example("1", TEXT)
    ((*logprobs,),) = scorer.score([(example, [Labels((name,)) for name in task.names])])
    assert math.fsum(map(math.exp, logprobs)) == pytest.approx(1, abs=1e-3)


def test_examples_do_not_change_each_other(make_scorer: MakeScorer) -> None:
    scorer = make_scorer()
    one, other = Example("1", TEXT), Example("2", "服当归。")
    together = scorer.score([(one, [BOTH, Extraction()]), (other, [Extraction()])])
    apart = [*scorer.score([(one, [BOTH, Extraction()])]), *scorer.score([(other, [Extraction()])])]
    assert [len(scores) for scores in together] == [2, 1]
    for left, right in zip(together, apart, strict=True):
        assert left == pytest.approx(right, abs=1e-3)


def test_where_the_grammar_cannot_write_one_of_them_all_are_scored_without_it(make_scorer: MakeScorer) -> None:
    example = Example("1", TEXT)
    ((nested, both),) = make_scorer().score([(example, [NESTED, BOTH])])
    ((free_nested, free_both),) = make_scorer(constrain=False).score([(example, [NESTED, BOTH])])
    ((alone,),) = make_scorer().score([(example, [BOTH])])
    assert (nested, both) == pytest.approx((free_nested, free_both), abs=1e-3)
    assert alone > both  # the mask takes probability from what is not allowed


def test_windows_add_up_and_a_long_answer_has_room(make_scorer: MakeScorer) -> None:
    long = Example("1", "，".join([TEXT] * 3))
    scorer = make_scorer(on_too_long="window", max_input_tokens=130, window_overlap=0, max_answer_tokens=8)
    ((nothing, found),) = scorer.score([(long, [Extraction(), BOTH])])
    assert nothing < 0
    assert found < 0
    assert nothing != found


def test_what_a_format_cannot_hold_is_told(make_scorer: MakeScorer) -> None:
    assert make_scorer().can_write(Example("1", TEXT), NESTED)
    assert not make_scorer(format="bio").can_write(Example("1", TEXT), NESTED)


def test_an_engine_without_probabilities_is_refused(
    make_contract: Callable[..., Contract], base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    encoder = build_predictor(base_model, tokenizer, make_contract()).encoder
    with pytest.raises(EngineError, match="scripted does not tell"):
        AnnotationScorer(Predictor(encoder, ScriptedEngine({})))
