"""Records: every value counts once, an empty answer finds nothing, and nothing that was written can hide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Fields
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import RecordField
from extune.evaluation.record_metrics import RecordScore, score_record

FIELDS = {
    "药": RecordField(kind="verbatim"),
    "病程": RecordField(kind="enum", of=("急性", "慢性")),
    "结论": RecordField(kind="text"),
}
GOLD = Fields({"药": ("黄芪", "当归"), "病程": "急性", "结论": "风寒感冒"})

values = st.fixed_dictionaries(
    {},
    optional={
        "药": st.lists(st.sampled_from(["黄芪", "当归", "桂枝"]), max_size=4).map(tuple),
        "病程": st.sampled_from(["急性", "慢性", ""]),
        "结论": st.text("风寒感冒 ", max_size=6),
    },
)
records = st.lists(st.tuples(values.map(Fields), values.map(Fields)), max_size=5)


def score(*pairs: tuple[Fields, Fields], problems: dict[str, list[Problem]] | None = None, resamples: int = 0) -> RecordScore:
    gold = {str(number): pair[0] for number, pair in enumerate(pairs)}
    predicted = {str(number): pair[1] for number, pair in enumerate(pairs)}
    return score_record(gold, predicted, FIELDS, problems, resamples=resamples)


@given(records)
def test_gold_against_gold_is_one_in_every_figure(pairs: list[tuple[Fields, Fields]]) -> None:
    result = score(*((gold, gold) for gold, _ in pairs))
    assert set(result.figures().values()) <= {1.0}
    assert result.exact_documents == result.documents


@given(records)
def test_figures_are_shares_and_credits_add_up(pairs: list[tuple[Fields, Fields]]) -> None:
    result = score(*pairs)
    assert all(-1e-9 <= figure <= 1 + 1e-9 for figure in result.figures().values())
    for name in ("tp", "fp", "fn"):
        assert getattr(result.micro, name) == pytest.approx(sum(getattr(one.leaves, name) for one in result.fields.values()))


def test_an_empty_but_valid_answer_finds_nothing() -> None:
    result = score((GOLD, Fields({})), (GOLD, Fields({"药": (), "病程": "", "结论": ""})))
    assert (result.micro.f1, result.macro, result.presence.recall, result.parseable) == (0, 0, 0, 1)


def test_each_kind_is_compared_in_its_way() -> None:
    predicted = Fields({"药": ("当归", "当归", "桂枝"), "病程": "慢性", "结论": "感冒"})
    result = score((GOLD, predicted))
    verbatim, enum, text = (result.fields[name] for name in FIELDS)
    assert (verbatim.leaves.tp, verbatim.leaves.fp, verbatim.leaves.fn) == (1, 2, 1)  # one 当归 of two is right
    assert (enum.leaves.tp, enum.leaves.fp, enum.leaves.fn) == (0, 1, 1)
    assert text.rouge_l == pytest.approx(2 * 2 / (4 + 2)) == text.char_f1 == text.leaves.tp
    assert result.presence.f1 == 1
    assert result.micro.tp == pytest.approx(1 + 2 / 3)
    assert result.micro.precision == pytest.approx((1 + 2 / 3) / 5)
    assert result.micro.recall == pytest.approx((1 + 2 / 3) / 4)


def test_pieces_that_became_no_value_are_wrong_predictions() -> None:
    problems = {"0": [Problem(ProblemKind.UNPARSEABLE), Problem(ProblemKind.DUPLICATE)]}
    result = score((GOLD, GOLD), problems=problems)
    assert (result.micro.tp, result.micro.fp, result.unread) == (4, 2, 2)
    assert (result.parseable, result.exact_documents, result.problem_documents) == (0, 0, 1)


def test_an_answer_that_was_closed_is_parseable_and_counted() -> None:
    closed = score((GOLD, GOLD), problems={"0": [Problem(ProblemKind.CLOSED_EARLY)]})
    assert (closed.parseable, closed.unread, closed.problems["closed_early"]) == (1, 0, 1)


def test_the_interval_holds_the_figure_and_ends_at_one_where_all_is_right() -> None:
    half = Fields({"药": ("黄芪",), "结论": "风寒"})
    result = score(*[(GOLD, half), (GOLD, GOLD), (GOLD, Fields({}))] * 5, resamples=200)
    assert result.interval is not None
    assert result.interval[0] < result.micro.f1 < result.interval[1]
    assert score(*[(GOLD, GOLD)] * 3, resamples=50).interval == (1, 1)
