"""Whatever stands of an answer, its shape knows the shortest bytes that make it whole, and refuses only what breaks a rule."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import llguidance
import llguidance.hf
import numpy as np
import pytest
from extraction_cases import annotated_texts, tasks, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher
from transformers import AutoTokenizer

from extune.domain.annotation import Extraction, Fields, Labels, Span
from extune.domain.prompt import Writing
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask, Task
from extune.prompts.circles import runs_in_a_circle
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnyFormat
from extune.prompts.reading import read_completion

FORMATS = [pytest.param(answer_format, id=answer_format.name) for answer_format in EXTRACTION_FORMATS]
FIELDS = build_format("fields")
RECORD = RecordTask(
    fields={
        "药：名": RecordField(kind="verbatim", distinct=True),
        "查": RecordField(kind="verbatim"),
        "病程": RecordField(kind="enum", of=("急性", "慢；性", "急")),
        "诊断": RecordField(kind="text"),
    }
)
CHARACTER_BYTES = 4


@cache
def load_tokens() -> llguidance.LLTokenizer:
    return llguidance.hf.from_tokenizer(AutoTokenizer.from_pretrained(str(files("extune") / "shipped" / "base")))


@cache
def single_bytes() -> dict[int, int]:
    """The token of each byte."""
    tokens = load_tokens()
    found = {}
    for token in range(tokens.vocab_size):
        read = tokens.decode_bytes([token])
        if len(read) == 1 and not tokens.is_special_token(token):
            found.setdefault(read[0], token)
    return found


def match(grammar: str, written: bytes) -> LLMatcher:
    """A matcher behind `written`, byte by byte."""
    matcher = LLMatcher(load_tokens(), grammar, log_level=0)
    tokens = [single_bytes()[byte] for byte in written]
    assert matcher.try_consume_tokens(tokens) == len(tokens)
    return matcher


def ends_within(matcher: LLMatcher, length: int) -> bool:
    """Whether the grammar ends behind at most so many more bytes."""
    if matcher.is_accepting():
        return True
    if not length:
        return False
    allowed = np.flatnonzero(np.frombuffer(matcher.compute_logit_bias(), dtype=np.uint8))
    for token in set(allowed.tolist()) & set(single_bytes().values()):
        following = matcher.deep_copy()
        if following.consume_token(token) and ends_within(following, length - 1):
            return True
    return False


def write(answer_format: AnyFormat, task: Task, text: str, written: bytes) -> Writing | None:
    shape = answer_format.build_shape(task, text)
    assert shape is not None
    return shape.begin().after(written)


def require_closing(answer_format: AnyFormat, task: Task, text: str, target: str, cut: int) -> None:
    """The first bytes of an answer that is right can be closed: shortly, and the result is a whole answer."""
    encoded = target.encode()
    begun, rest = encoded[: cut % (len(encoded) + 1)], encoded[cut % (len(encoded) + 1) :]
    shape = answer_format.build_shape(task, text)
    assert shape is not None
    writing = shape.begin().after(begun)
    assert writing is not None
    assert writing.may_end() or rest
    closing = writing.closing()
    assert bool(closing) != writing.may_end()
    assert len(closing) <= len(rest)
    assert shape.reserve is None or len(closing) <= shape.reserve
    grammar = answer_format.render_grammar(task, text)
    assert grammar is not None
    assert match(grammar, begun + closing).is_accepting()
    _, problems = read_completion(task, answer_format, text, (begun + closing).decode())
    assert {problem.kind for problem in problems} <= ({"duplicate"} if answer_format.name == "inline" else set())


@pytest.mark.parametrize("answer_format", FORMATS)
@settings(deadline=None, max_examples=40)
@given(case=annotated_texts(), cut=st.integers(0, 300))
def test_any_part_of_a_target_can_be_closed(
    answer_format: AnyFormat, case: tuple[ExtractionTask, str, Extraction], cut: int
) -> None:
    task, text, gold = case
    if answer_format.name == "lines":  # the ordered grammar has one mention of a type at each beginning
        gold = Extraction(tuple({(span.type, span.start): span for span in gold.spans}.values()))
    if answer_format.find_unrepresentable(task, text, gold) is None:
        require_closing(answer_format, task, text, answer_format.render_target(task, text, gold), cut)


@settings(deadline=None, max_examples=40)
@given(text=texts, cut=st.integers(0, 300), free=texts, data=st.data())
def test_any_part_of_a_record_can_be_closed(text: str, cut: int, free: str, data: st.DataObject) -> None:
    bounds = st.tuples(st.integers(0, max(len(text) - 1, 0)), st.integers(1, 5))
    pieces = tuple(text[start : start + length] for start, length in data.draw(st.lists(bounds, max_size=4 if text else 0)))
    gold = Fields({"药：名": tuple(dict.fromkeys(pieces)), "查": pieces, "病程": "急性", "诊断": free})
    if FIELDS.find_unrepresentable(RECORD, text, gold) is None:
        require_closing(FIELDS, RECORD, text, FIELDS.render_target(RECORD, text, gold), cut)


@settings(deadline=None, max_examples=40)
@given(names=tasks.map(lambda task: task.names).filter(lambda names: len(names) > 1), cut=st.integers(0, 60), data=st.data())
def test_any_part_of_a_choice_can_be_closed(names: tuple[str, ...], cut: int, data: st.DataObject) -> None:
    for several in (False, True):
        task = ClassificationTask(label_names=dict.fromkeys(names, ""), multi_label=several)
        answer_format = build_format(task.answer_formats[0])
        chosen = data.draw(st.lists(st.sampled_from(names), max_size=4 if several else 1, min_size=not several, unique=True))
        gold = Labels(tuple(chosen))
        if answer_format.find_unrepresentable(task, "", gold) is None:
            require_closing(answer_format, task, "", answer_format.render_target(task, "", gold), cut)


@pytest.mark.parametrize("name", ["lines", "pairs", "json", "bio", "inline"])
def test_no_shorter_ending_exists(name: str) -> None:
    task, text = ExtractionTask(types=["药", "方剂", "a"]), "用黄芪；b_"
    answer_format = build_format(name)
    target = answer_format.render_target(task, text, Extraction((Span("药", "黄芪", 1, 3), Span("a", "b_", 4, 6)))).encode()
    grammar = answer_format.render_grammar(task, text)
    assert grammar is not None
    looked_at = 0
    for cut in range(len(target) + 1):
        writing = write(answer_format, task, text, target[:cut])
        assert writing is not None
        shortest = len(writing.closing())
        if 0 < shortest <= CHARACTER_BYTES:
            looked_at += 1
            assert not ends_within(match(grammar, target[:cut]), shortest - 1)
    assert looked_at > 3


def require_refused(answer_format: AnyFormat, task: Task, text: str, begun: str, more: str) -> None:
    assert write(answer_format, task, text, begun.encode()) is not None
    assert write(answer_format, task, text, (begun + more).encode()) is None


def test_a_distinct_list_takes_a_piece_once() -> None:
    require_refused(FIELDS, RECORD, "甲乙", "药\\：名：甲；甲", "；")
    require_refused(FIELDS, RECORD, "甲乙", "药\\：名：甲；甲", "\n")
    again = write(FIELDS, RECORD, "甲乙", "药\\：名：甲；甲".encode())
    assert again is not None
    assert not again.may_end()
    assert again.closing() == "乙".encode()
    require_refused(FIELDS, RECORD, "甲乙", "药\\：名：乙", "；乙")  # nothing can come of it: the text ends there
    require_refused(FIELDS, RECORD, "甲乙", "药\\：名：甲；乙；甲乙", "；")  # all pieces stand
    assert write(FIELDS, RECORD, "甲乙", "药\\：名：甲；乙\n查：甲；甲；甲\n".encode()) is not None


@pytest.mark.parametrize(
    ("name", "begun", "more"),
    [
        ("pairs", "甲_药\n甲_方\n甲", "_"),
        ("pairs", "乙_药\n乙", "_药"),
        ("pairs", "丙_药\n丙_方\n", "丙"),
        ("json", '{"药":["甲"],"方":["甲","甲', '"'),
        ("json", '{"药":["乙","丙', '","丙'),
    ],
)
def test_a_mention_stands_as_often_as_the_text_has_it(name: str, begun: str, more: str) -> None:
    require_refused(build_format(name), ExtractionTask(types=["药", "方"]), "甲乙丙", begun, more)


def test_long_texts_take_mentions_as_often_as_they_have_them() -> None:
    text = "甲" * 300 + "乙"
    task = ExtractionTask(types=["药", "方"])
    lines = build_format("lines")
    assert write(lines, task, text, ("药：" + "；".join(["甲"] * 300)).encode()) is not None
    require_refused(lines, task, text, "药：" + "；".join(["甲"] * 300) + "；甲", "；")
    require_refused(lines, task, text, "药：乙", "；乙")
    assert write(lines, task, text, "药：乙\n方：乙".encode()) is not None


@given(st.text(st.sampled_from("ab"), min_size=1, max_size=12), st.integers(1, 30), st.text("xyz", max_size=20))
def test_free_text_that_runs_in_a_circle_may_only_end(piece: str, times: int, before: str) -> None:
    value = before + piece * times
    writing = write(FIELDS, RECORD, "", f"诊断：{value}".encode())
    if writing is None:
        assert len(value) > 60
        return
    assert writing.may_end()
    if writing.circling:
        assert runs_in_a_circle(value, 60)
        assert writing.after(b"a") is None
        assert writing.after(b"\n") is None  # it is the last field
    elif len(piece) * times >= 80:
        raise AssertionError("a circle went on")


def test_a_circle_ends_its_field_and_others_follow() -> None:
    task = RecordTask(fields={"甲": RecordField(kind="text"), "乙": RecordField(kind="text")})
    writing = write(FIELDS, task, "", ("甲：" + "多喝水，" * 16).encode())
    assert writing is not None
    assert writing.circling
    following = writing.after("\n乙：好".encode())
    assert following is not None
    assert not following.circling
    assert following.may_end()
