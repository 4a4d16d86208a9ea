"""What each figure counts, and what must hold for any gold and any predictions."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import Problem, ProblemKind
from extune.errors import DataError
from extune.evaluation.metrics import PRF, ExtractionScore, aggregate_scores, score_extraction

_TEXT = "黄芪三十克补气固表黄芪"
_TYPES = ("药", "效", "方")
Documents = dict[str, tuple[Extraction, Extraction]]


def _span(type_: str, start: int, end: int) -> Span:
    return Span(type_, _TEXT[start:end], start, end)


def _score(gold: Extraction, predicted: Extraction, *kinds: ProblemKind) -> ExtractionScore:
    return score_extraction({"1": gold}, {"1": predicted}, _TYPES, {"1": [Problem(kind) for kind in kinds]})


def _counts(prf: PRF) -> tuple[float, float, float]:
    return prf.tp, prf.fp, prf.fn


_places = st.integers(0, len(_TEXT) - 1).flatmap(lambda start: st.tuples(st.just(start), st.integers(start + 1, len(_TEXT))))
_extractions = st.builds(
    lambda keys, ungrounded: Extraction(tuple(_span(type_, *place) for place, type_ in keys), tuple(ungrounded)),
    st.sets(st.tuples(_places, st.sampled_from(_TYPES)), max_size=4),
    st.lists(st.builds(Mention, st.sampled_from(_TYPES), st.sampled_from(["人参", "黄芪"])), max_size=2),
)
_documents = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(_extractions, _extractions), max_size=5)


def _score_all(documents: Documents, resamples: int = 0) -> ExtractionScore:
    gold = {id_: pair[0] for id_, pair in documents.items()}
    predictions = {id_: pair[1] for id_, pair in documents.items()}
    return score_extraction(gold, predictions, _TYPES, resamples=resamples)


def _totals(score: ExtractionScore) -> tuple[PRF, PRF, PRF, PRF]:
    return score.micro, score.text_strict, score.partial, score.boundary


@given(st.dictionaries(st.text("abc", min_size=1), _extractions.map(lambda one: Extraction(one.spans)), max_size=5))
def test_gold_against_itself_is_perfect(gold: dict[str, Extraction]) -> None:
    score = score_extraction(gold, gold, _TYPES, resamples=10)
    assert all((prf.precision, prf.recall, prf.f1) == (1, 1, 1) for prf in _totals(score))
    assert (score.macro, score.document_accuracy) == (1, 1)
    assert score.interval == ((1, 1) if gold else None)


@given(_documents, st.randoms(use_true_random=False))
def test_order_of_documents_changes_nothing(documents: Documents, random: object) -> None:
    shuffled = list(documents.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _score_all(dict(shuffled), resamples=20) == _score_all(documents, resamples=20)


@given(_documents)
def test_swapping_gold_and_predictions_swaps_precision_and_recall(documents: Documents) -> None:
    score = _score_all(documents)
    swapped = _score_all({id_: (predicted, gold) for id_, (gold, predicted) in documents.items()})
    for one, other in zip(_totals(score), _totals(swapped), strict=True):
        assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, other.f1)
    assert (score.macro, score.exact_documents) == (swapped.macro, swapped.exact_documents)


@given(_documents)
def test_looser_modes_never_give_less(documents: Documents) -> None:
    score = _score_all(documents)
    assert score.micro.tp <= min(score.text_strict.tp, score.partial.tp, score.boundary.tp)


@given(_documents)
def test_nothing_is_dropped(documents: Documents) -> None:
    score = _score_all(documents)
    for prf in _totals(score):
        assert prf.tp + prf.fn == score.gold_spans
        assert prf.tp + prf.fp == score.predicted_spans + score.ungrounded + score.unusable
    for count in ("tp", "fp", "fn"):
        assert sum(getattr(prf, count) for prf in score.per_type.values()) == getattr(score.micro, count)


@given(_documents)
def test_documents_add_up(documents: Documents) -> None:
    parts = [_score_all({id_: pair}) for id_, pair in documents.items()]
    whole = _score_all(documents)
    for number, prf in enumerate(_totals(whole)):
        assert _counts(prf) == tuple(sum(_counts(_totals(part)[number])[index] for part in parts) for index in range(3))
    assert whole.exact_documents == sum(part.exact_documents for part in parts)


def test_the_four_modes() -> None:
    gold = Extraction((_span("药", 0, 2), _span("效", 5, 9), _span("方", 2, 4)))
    predicted = Extraction((_span("药", 9, 11), _span("效", 5, 7), _span("效", 2, 4)))
    score = _score(gold, predicted)
    assert _counts(score.micro) == (0, 3, 3)
    assert _counts(score.text_strict) == (1, 2, 2)
    assert _counts(score.partial) == (0.5, 2.5, 2.5)
    assert _counts(score.boundary) == (1, 2, 2)


def test_an_ungrounded_mention_is_wrong_but_counts_as_text() -> None:
    gold = Extraction((_span("药", 0, 2),))
    score = _score(gold, Extraction((), (Mention("药", "黄芪"), Mention("药", "人参"))), ProblemKind.UNGROUNDED)
    assert _counts(score.micro) == _counts(score.partial) == _counts(score.boundary) == (0, 2, 1)
    assert _counts(score.text_strict) == (1, 1, 0)
    assert _counts(score.per_type["药"]) == (0, 2, 1)


@pytest.mark.parametrize("kind", [ProblemKind.UNPARSEABLE, ProblemKind.UNKNOWN_TYPE, ProblemKind.DUPLICATE])
def test_a_piece_that_became_no_span_is_wrong_in_every_total(kind: ProblemKind) -> None:
    gold = Extraction((_span("药", 0, 2),))
    score = _score(gold, gold, kind, kind)
    assert all(_counts(prf) == (1, 2, 0) for prf in _totals(score))
    assert (score.unusable, score.problems[kind], score.problem_documents, score.exact_documents) == (2, 2, 1, 0)


def test_an_unparseable_answer_is_no_correct_empty_answer() -> None:
    score = _score(Extraction(), Extraction(), ProblemKind.UNPARSEABLE)
    assert (score.micro.f1, score.exact_documents) == (0, 0)


def test_a_text_that_was_never_answered_is_not_exact() -> None:
    assert _score(Extraction(), Extraction(), ProblemKind.TOO_LONG).exact_documents == 0


def test_cut_off_answers_are_counted_and_their_spans_scored() -> None:
    gold = Extraction((_span("药", 0, 2),))
    score = _score(gold, gold, ProblemKind.CUT_OFF)
    assert (score.micro.f1, score.problems["cut_off"], score.exact_documents) == (1, 1, 1)


def test_empty_against_empty_is_correct() -> None:
    score = _score(Extraction(), Extraction())
    assert (score.micro.precision, score.micro.recall, score.micro.f1, score.macro) == (1, 1, 1, 1)
    assert (score.exact_documents, score.interval) == (1, (1, 1))


def test_one_empty_side_is_zero() -> None:
    some = Extraction((_span("药", 0, 2),))
    for score in (_score(some, Extraction()), _score(Extraction(), some)):
        assert (score.micro.precision, score.micro.recall, score.micro.f1, score.macro) == (0, 0, 0, 0)


def test_types_that_do_not_occur_are_shown_without_figures_and_left_out_of_macro() -> None:
    score = _score(Extraction((_span("药", 0, 2),)), Extraction((_span("药", 0, 2), _span("效", 5, 7))))
    assert score.macro == 0.5
    rows = [(row.name, row.support, row.predicted, row.f1) for row in score.rows()]
    assert rows == [("药", 1, 1, 1.0), ("效", 0, 1, 0.0), ("方", 0, 0, None)]
    assert score.to_json()["per_type"]["方"]["f1"] is None


def test_unlisted_types_are_scored_too() -> None:
    score = _score(Extraction((_span("病", 0, 2),)), Extraction((_span("丙", 0, 2),)))
    assert list(score.per_type) == [*_TYPES, "丙", "病"]
    assert _counts(score.micro) == (0, 1, 1)


def test_two_types_on_one_span_are_two_items() -> None:
    gold = Extraction((_span("药", 0, 2), _span("方", 0, 2)))
    score = _score(gold, Extraction((_span("药", 0, 2),)))
    assert _counts(score.micro) == _counts(score.boundary) == (1, 0, 1)


@pytest.mark.parametrize(
    ("gold", "predictions", "problems", "part"),
    [
        (["1", "2"], ["1"], [], "1 examples have no prediction, the first is '2'"),
        (["1"], ["1", "9"], [], "1 predictions belong to no example, the first is '9'"),
        (["1"], ["1"], ["8"], "the first is '8'"),
    ],
)
def test_every_example_needs_exactly_one_prediction(
    gold: list[str], predictions: list[str], problems: list[str], part: str
) -> None:
    empty = Extraction()
    with pytest.raises(DataError, match=part):
        score_extraction(dict.fromkeys(gold, empty), dict.fromkeys(predictions, empty), _TYPES, {id_: [] for id_ in problems})


@given(_documents)
def test_json_is_complete_and_plain(documents: Documents) -> None:
    score = _score_all(documents, resamples=5)
    value = json.loads(json.dumps(score.to_json(), allow_nan=False))
    assert value["micro"]["f1"] == score.micro.f1
    assert set(value["problems"]) == {str(kind) for kind in ProblemKind}


@given(st.lists(_documents, min_size=1, max_size=4))
def test_aggregation_is_mean_and_sample_deviation(runs: list[Documents]) -> None:
    scores = [_score_all(documents) for documents in runs]
    figure = aggregate_scores(scores)["micro.f1"]
    values = [score.micro.f1 for score in scores]
    assert figure.count == len(values)
    assert math.isclose(figure.mean, statistics.mean(values), abs_tol=1e-12)
    if len(values) == 1:
        assert figure.deviation is None
    else:
        assert figure.deviation is not None
        assert math.isclose(figure.deviation, statistics.stdev(values), abs_tol=1e-12)


def test_aggregation_averages_a_type_over_the_scores_in_which_it_occurs() -> None:
    some, empty = Extraction((_span("药", 0, 2),)), Extraction()
    figures = aggregate_scores([_score(some, some), _score(empty, empty), _score(some, empty)])
    assert (figures["type.药.f1"].mean, figures["type.药.f1"].count) == (0.5, 2)
    assert "type.方.f1" not in figures
