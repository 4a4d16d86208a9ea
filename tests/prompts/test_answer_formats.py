"""Every answer format: parse(render(x)) == x on arbitrary text, and no completion whatever breaks the parser."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from extraction_cases import annotated_texts, characters, tasks, texts
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import ProblemKind
from extune.domain.task import ExtractionTask
from extune.errors import FormatError, RecipeError
from extune.prompts.alignment import read_extraction
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnswerFormat, require_representable
from extune.prompts.formats.escape import Escaper

FORMATS = [pytest.param(answer_format, id=answer_format.name) for answer_format in EXTRACTION_FORMATS]
WITH_POSITIONS = ("inline", "bio")


def make_gold(text: str, *keys: tuple[int, int, str]) -> Extraction:
    return Extraction(tuple(Span(name, text[start:end], start, end) for start, end, name in keys))


@pytest.mark.parametrize("answer_format", FORMATS)
@given(case=annotated_texts())
def test_what_a_format_can_hold_survives(answer_format: AnswerFormat, case: tuple[ExtractionTask, str, Extraction]) -> None:
    task, text, gold = case
    reason = answer_format.find_unrepresentable(task, text, gold)
    if reason is not None:
        assert answer_format.name in WITH_POSITIONS
        return
    completion = answer_format.render_target(task, text, gold)
    parsed = answer_format.parse_completion(task, text, completion)
    assert parsed.problems == ()
    assert Counter((item.type, item.text) for item in parsed.items) == Counter((span.type, span.text) for span in gold.spans)
    extraction, problems = read_extraction(task, answer_format, text, completion)
    assert problems == ()
    assert len(extraction.spans) == len(gold.spans)
    if answer_format.name in WITH_POSITIONS:
        assert extraction == gold


@pytest.mark.parametrize("answer_format", FORMATS)
@given(
    task=tasks,
    text=texts,
    completion=st.lists(
        st.one_of(characters, st.sampled_from(["无", "O ", "B-a ", "I-a ", '{"a":["', "\ud800", "a：", "|a]"]))
    ).map("".join),
)
def test_any_completion_parses(answer_format: AnswerFormat, task: ExtractionTask, text: str, completion: str) -> None:
    parsed = answer_format.parse_completion(task, text, completion)
    for item in parsed.items:
        assert item.type in task.types
        assert item.text
        assert 0 <= item.completion_start < item.completion_end <= len(completion)
    assert all(problem.detail and len(problem.detail) <= 80 for problem in parsed.problems)
    extraction, _ = read_extraction(task, answer_format, text, completion)
    assert all(text[span.start : span.end] == span.text for span in extraction.spans)


@pytest.mark.parametrize("answer_format", FORMATS)
@given(case=annotated_texts(), data=st.data())
def test_a_damaged_answer_parses(
    answer_format: AnswerFormat, case: tuple[ExtractionTask, str, Extraction], data: st.DataObject
) -> None:
    task, text, gold = case
    completion = answer_format.render_target(task, text, gold)
    start = data.draw(st.integers(0, len(completion)))
    end = data.draw(st.integers(start, len(completion)))
    damaged = completion[:start] + data.draw(st.text(characters, max_size=3)) + completion[end:]
    extraction, _ = read_extraction(task, answer_format, text, damaged)
    assert all(text[span.start : span.end] == span.text and span.type in task.types for span in extraction.spans)


UNESCAPE = {
    "lines": Escaper("；：").unescape,
    "pairs": Escaper("_").unescape,
    "json": lambda s: json.loads(f'"{s}"', strict=False),
}


@pytest.mark.parametrize("name", sorted(UNESCAPE))
@given(case=annotated_texts(), noise=st.text(characters, max_size=5))
def test_completion_ranges_hold_the_mentions(name: str, case: tuple[ExtractionTask, str, Extraction], noise: str) -> None:
    task, text, gold = case
    answer_format = build_format(name)
    completion = answer_format.render_target(task, text, gold) + noise
    for item in answer_format.parse_completion(task, text, completion).items:
        assert UNESCAPE[name](completion[item.completion_start : item.completion_end]) == item.text


def test_inline_and_bio_ranges() -> None:
    task, text = ExtractionTask(types=["药", "方"]), "a[黄芪]汤b"
    gold = make_gold(text, (1, 6, "方"), (2, 4, "药"))
    inline = build_format("inline")
    completion = inline.render_target(task, text, gold)
    assert completion == "a[\\[[黄芪|药]\\]汤|方]b"
    items = inline.parse_completion(task, text, completion).items
    assert [completion[item.completion_start : item.completion_end] for item in items] == ["\\[[黄芪|药]\\]汤", "黄芪"]
    bio = build_format("bio")
    completion = bio.render_target(task, text, make_gold(text, (2, 4, "药")))
    assert completion == "O O B-药 I-药 O O O"
    (item,) = bio.parse_completion(task, text, completion).items
    assert completion[item.completion_start : item.completion_end] == "B-药 I-药"


@pytest.mark.parametrize("answer_format", FORMATS)
def test_refused_annotations(answer_format: AnswerFormat) -> None:
    task, text = ExtractionTask(types=["药"]), "黄芪汤"
    foreign = make_gold(text, (0, 2, "方"))
    ungrounded = Extraction((), (Mention("药", "人参"),))
    for gold in (foreign, ungrounded):
        with pytest.raises(FormatError, match=answer_format.name):
            require_representable(answer_format, task, text, gold, "train.txt:1")
    require_representable(answer_format, task, text, make_gold(text, (0, 2, "药")), "train.txt:1")


@pytest.mark.parametrize(
    ("name", "keys", "held"),
    [
        ("lines", ((0, 2, "药"), (1, 3, "药")), True),
        ("inline", ((0, 2, "药"), (1, 3, "药")), False),
        ("inline", ((0, 3, "药"), (1, 3, "方")), True),
        ("inline", ((0, 3, "药"), (0, 3, "方")), True),
        ("inline", ((0, 4, "药"), (1, 2, "药"), (1, 3, "方"), (3, 4, "药")), True),
        ("inline", ((0, 3, "药"), (1, 2, "方"), (2, 4, "方")), False),
        ("bio", ((0, 3, "药"), (1, 3, "方")), False),
        ("bio", ((0, 2, "药"), (2, 3, "药")), True),
    ],
)
def test_what_formats_can_hold(name: str, keys: tuple[tuple[int, int, str], ...], held: bool) -> None:
    task, text = ExtractionTask(types=["药", "方"]), "黄芪参汤"
    assert (build_format(name).find_unrepresentable(task, text, make_gold(text, *keys)) is None) is held


@pytest.mark.parametrize(
    ("name", "completion", "mentions", "problems"),
    [
        ("lines", "无", [], []),
        ("lines", "", [], ["unparseable"]),
        ("lines", "药：黄芪；人参\n方：", ["黄芪", "人参"], ["unparseable"]),
        ("lines", "药：黄：芪；人参", ["人参"], ["unparseable"]),
        ("lines", "药：黄\\芪；人参；", ["人参"], ["unparseable", "unparseable"]),
        ("lines", "病：咳嗽\n药：人参\n药：黄芪", ["人参", "黄芪"], ["unknown_type"]),
        ("lines", "药：人参\n", ["人参"], ["unparseable"]),
        ("lines", "药： \r；\u3000", [" \r", "\u3000"], []),
        ("lines", "药\n无\n药：\\：\\；\\\\\\n", ["：；\\\n"], ["unparseable", "unparseable"]),
        ("pairs", "无", [], []),
        ("pairs", "黄芪_药\n无\n咳_病\n人_参_药", ["黄芪"], ["unparseable", "unknown_type", "unparseable"]),
        ("pairs", "_药\n黄芪_\na\\_b_药", ["a_b"], ["unparseable", "unparseable"]),
        ("json", "{}", [], []),
        ("json", "", [], ["unparseable"]),
        ("json", ' { "药" : [ "黄芪" , "\\u4eba参" ] } ', ["黄芪", "人参"], []),
        ("json", '{"药":["黄芪","人', ["黄芪"], ["unparseable"]),
        ("json", '{"药":["","\\ud800","\\ud83d\\ude00"]}', ["😀"], ["unparseable", "unparseable"]),
        ("json", '{"病":["咳"],"药":[],"方":["汤"]}x', ["汤"], ["unknown_type", "unparseable"]),
        ("json", '{"药":"黄芪"}', [], ["unparseable"]),
        ("json", '{"\\ud800":["黄芪"]}', [], ["unknown_type"]),
        ("inline", "用[黄芪|药]", ["黄芪"], []),
        ("inline", "用[黄|药]", ["黄"], ["unparseable"]),
        ("inline", "用[黄芪|病]", [], ["unknown_type"]),
        ("inline", "用[|药]黄芪", [], ["unparseable"]),
        ("inline", "用[黄芪", [], ["unparseable"]),
        ("inline", "用黄芪]", [], ["unparseable", "unparseable"]),
        ("bio", "O B-药 I-药", ["黄芪"], []),
        ("bio", "O B-药", ["黄"], ["unparseable"]),
        ("bio", "O B-药 I-药 O", ["黄芪"], ["unparseable"]),
        ("bio", "O I-药 I-方", ["黄", "芪"], ["unparseable", "unparseable"]),
        ("bio", "O B-病 I-病", [], ["unknown_type"]),
        ("bio", "O X B-", [], ["unparseable", "unparseable"]),
        ("bio", "", [], ["unparseable"]),
    ],
)
def test_faulty_completions(name: str, completion: str, mentions: list[str], problems: list[str]) -> None:
    task = ExtractionTask(types=["药", "方"])
    parsed = build_format(name).parse_completion(task, "用黄芪", completion)
    assert [item.text for item in parsed.items] == mentions
    assert [problem.kind for problem in parsed.problems] == problems


def test_a_changed_text_costs_inline_the_positions_only() -> None:
    task = ExtractionTask(types=["药"])
    extraction, problems = read_extraction(task, build_format("inline"), "先用黄芪", "用[黄芪|药]")
    assert extraction == make_gold("先用黄芪", (2, 4, "药"))
    assert [(problem.kind, problem.detail) for problem in problems] == [(ProblemKind.UNPARSEABLE, "text changed")]


def test_an_unescaped_bar_of_the_text_is_taken_literally() -> None:
    task = ExtractionTask(types=["药"])
    extraction, problems = read_extraction(task, build_format("inline"), "a|黄芪", "a|[黄芪|药]")
    assert extraction == make_gold("a|黄芪", (2, 4, "药"))
    assert [problem.kind for problem in problems] == [ProblemKind.UNPARSEABLE]


@given(text=texts, separators=st.text(st.sampled_from("；：_[]| "), max_size=4), keep_newline=st.booleans())
def test_escaping_is_lossless(text: str, separators: str, keep_newline: bool) -> None:
    escaper = Escaper(separators, keep_newline=keep_newline)
    assert escaper.unescape(escaper.escape(text)) == text
    assert "".join(escaper.chunks(text)) == escaper.escape(text)
    assert len(escaper.chunks(text)) == len(text)
    for separator in separators:
        assert escaper.split(escaper.escape(text), separator) == [(0, escaper.escape(text))]


@given(pieces=st.lists(texts, min_size=1))
def test_split_undoes_join(pieces: list[str]) -> None:
    escaper = Escaper("；：")
    joined = "；".join(escaper.escape(piece) for piece in pieces)
    parts = escaper.split(joined, "；")
    assert [escaper.unescape(part) for _, part in parts] == pieces
    assert all(joined.startswith(part, start) for start, part in parts)


def test_names_are_unique_and_an_unknown_one_is_an_error() -> None:
    assert len({answer_format.name for answer_format in EXTRACTION_FORMATS}) == len(EXTRACTION_FORMATS)
    with pytest.raises(RecipeError, match="xml"):
        build_format("xml")
