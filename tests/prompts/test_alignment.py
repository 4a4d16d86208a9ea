"""Where mentions are put: longest first, in text order, nested where they must, never twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Mention
from extune.domain.prediction import ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.alignment import align, read_extraction
from extune.prompts.formats import build_format
from extune.prompts.formats.base import ParsedItem


def make_items(*mentions: tuple[str, str]) -> list[ParsedItem]:
    return [ParsedItem(name, text, 0, len(text)) for name, text in mentions]


def place(text: str, *mentions: tuple[str, str]) -> dict[int, tuple[int, int]]:
    return {number: (span.start, span.end) for number, span in align(text, make_items(*mentions)).placed}


@pytest.mark.parametrize(
    ("text", "mentions", "expected"),
    [
        pytest.param("黄芪和黄芪", ["黄芪", "黄芪"], [(0, 2), (3, 5)], id="repeats"),
        pytest.param("黄芪汤含黄芪", ["黄芪汤", "黄芪"], [(0, 3), (4, 6)], id="a short one leaves the long one alone"),
        pytest.param("黄芪汤含黄芪", ["黄芪", "黄芪汤"], [(0, 2), (0, 3)], id="unless text order says that it is nested"),
        pytest.param("黄芪汤", ["黄芪汤", "黄芪"], [(0, 3), (0, 2)], id="nested where there is no other place"),
        pytest.param("黄芪人参黄芪", ["人参", "黄芪"], [(2, 4), (4, 6)], id="text order decides"),
        pytest.param("黄芪人参黄芪", ["黄芪", "人参"], [(0, 2), (2, 4)], id="text order decides, the other way"),
        pytest.param("人参黄芪", ["黄芪", "人参"], [(2, 4), (0, 2)], id="broken order does no harm"),
        pytest.param("aaa", ["aa", "aa"], [(0, 2), (1, 3)], id="overlapping occurrences"),
    ],
)
def test_places(text: str, mentions: list[str], expected: list[tuple[int, int]]) -> None:
    assert list(place(text, *[("药", mention) for mention in mentions]).values()) == expected


def test_two_types_share_a_place_only_where_they_must() -> None:
    assert place("黄芪", ("药", "黄芪"), ("方", "黄芪")) == {0: (0, 2), 1: (0, 2)}
    assert place("黄芪黄芪", ("药", "黄芪"), ("方", "黄芪")) == {0: (0, 2), 1: (2, 4)}


def test_positions_are_kept_where_they_are_true() -> None:
    items = [ParsedItem("药", "黄芪", 0, 2, 3), ParsedItem("方", "黄芪", 0, 2, 1), ParsedItem("药", "黄芪", 0, 2, 3)]
    alignment = align("黄芪和黄芪", items)
    assert [(number, span.start) for number, span in alignment.placed] == [(0, 3), (1, 0)]
    assert alignment.duplicates == (2,)


def test_too_many_are_duplicates_and_foreign_ones_ungrounded() -> None:
    alignment = align("黄芪", make_items(("药", "黄芪"), ("药", "人参"), ("药", "黄芪")))
    assert [number for number, _ in alignment.placed] == [0]
    assert (alignment.ungrounded, alignment.duplicates) == ((1,), (2,))


@pytest.mark.parametrize(
    ("text", "mention", "found"),
    [
        ("服ＡＢＣ片", "abc片", "ＡＢＣ片"),
        ("阿莫 西\u3000林胶囊", "阿莫西林", "阿莫 西\u3000林"),
        ("COVID-19", "covid - 19", "COVID-19"),
        ("5㎎", "5mg", "5㎎"),
        ("cafe\u0301", "CAFÉ", "cafe\u0301"),
        ("5㎎", "5m", None),
        ("黄芪", " \u3000", None),
    ],
)
def test_width_case_and_space_are_forgiven(text: str, mention: str, found: str | None) -> None:
    alignment = align(text, make_items(("药", mention)))
    assert [span.text for _, span in alignment.placed] == ([] if found is None else [found])
    assert len(alignment.ungrounded) == (found is None)


def test_exact_items_come_before_folded_ones() -> None:
    alignment = align("abc ABC", make_items(("药", "Abc"), ("药", "ABC"), ("药", "aBC")))
    assert [(number, span.text) for number, span in alignment.placed] == [(0, "abc"), (1, "ABC")]
    assert alignment.duplicates == (2,)


def test_open_occurrences_are_counted() -> None:
    assert align("黄芪黄芪", make_items(("药", "黄芪"))).open_items == 1
    assert align("黄芪黄芪", make_items(("药", "黄芪"), ("药", "黄芪"))).open_items == 0
    assert align("黄芪黄芪黄芪", make_items(("药", "黄芪"), ("药", "黄芪"))).open_items == 2
    assert align("黄芪黄芪", make_items(("药", "黄芪"), ("方", "黄芪"))).open_items == 2
    assert align("黄芪黄芪", [ParsedItem("药", "黄芪", 0, 2, 2)]).open_items == 0


def test_reading_reports_every_kind_of_problem() -> None:
    task = ExtractionTask(types=["药"])
    extraction, problems = read_extraction(task, build_format("lines"), "用黄芪", "药：黄芪；人参；黄芪；\n病：咳")
    assert [(span.type, span.text) for span in extraction.spans] == [("药", "黄芪")]
    assert extraction.ungrounded == (Mention("药", "人参"),)
    assert [problem.kind for problem in problems] == [
        ProblemKind.UNPARSEABLE,
        ProblemKind.UNKNOWN_TYPE,
        ProblemKind.UNGROUNDED,
        ProblemKind.DUPLICATE,
    ]


@given(
    text=st.text("abAＡ \u3000㎎é", max_size=30),
    mentions=st.lists(st.tuples(st.sampled_from("XY"), st.text("abAＡ mg", min_size=1, max_size=4)), max_size=12),
)
def test_every_item_ends_somewhere(text: str, mentions: list[tuple[str, str]]) -> None:
    alignment = align(text, make_items(*mentions))
    numbers = [number for number, _ in alignment.placed] + [*alignment.ungrounded, *alignment.duplicates]
    assert sorted(numbers) == list(range(len(mentions)))
    assert all(text[span.start : span.end] == span.text for _, span in alignment.placed)
    assert all(span.type == mentions[number][0] for number, span in alignment.placed)
    assert all(mentions[number][1] not in text for number in alignment.ungrounded)
    Extraction(tuple(span for _, span in alignment.placed))  # refuses a span that stands twice
    assert alignment == align(text, make_items(*mentions))
