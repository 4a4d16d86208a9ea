"""Grammars allow every gold target, and whatever a model picks under the mask parses and is verbatim."""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files

import llguidance
import llguidance.hf
import numpy as np
import pytest
from extraction_cases import annotated_texts, tasks, texts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher
from transformers import AutoTokenizer

from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask
from extune.prompts.alignment import align
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnswerFormat
from extune.prompts.formats.bio import COUNTED_CHARACTERS
from extune.prompts.formats.inline import GRAMMAR_DEPTH
from extune.prompts.grammar import MAX_ORDERED_CHUNKS

FORMATS = [pytest.param(answer_format, id=answer_format.name) for answer_format in EXTRACTION_FORMATS]
TASK, TEXT = ExtractionTask(types=["药", "方剂", "方"]), "用黄芪[汤]；黄芪：3_g\\n"


@cache
def load_tokens() -> llguidance.LLTokenizer:
    return llguidance.hf.from_tokenizer(AutoTokenizer.from_pretrained(str(files("extune") / "shipped" / "base")))


def start_matcher(grammar: str) -> LLMatcher:
    matcher = LLMatcher(load_tokens(), grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def accepts(grammar: str, completion: str) -> bool:
    matcher = start_matcher(grammar)
    ids = load_tokens().tokenize_str(completion)
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


def walk(grammar: str, seed: int, limit: int = 300) -> str | None:
    """A completion drawn uniformly under the mask; None where it had not ended after `limit` tokens."""
    picker, tokens, matcher, ids = random.Random(seed), load_tokens(), start_matcher(grammar), []
    while len(ids) < limit:
        allowed = np.flatnonzero(np.frombuffer(matcher.compute_logit_bias(), dtype=np.uint8))
        assert len(allowed) > 0, f"dead end after {tokens.decode_bytes(ids)!r}"
        chosen = int(picker.choice(allowed))
        if chosen == tokens.eos_token:
            return tokens.decode_bytes(ids).decode("utf-8")
        assert matcher.consume_token(chosen), matcher.get_error()
        ids.append(chosen)
    return None


def keep_one_a_start(gold: Extraction) -> Extraction:
    """Without mentions of a type that begin where another of the type begins, which the ordered grammar does not allow."""
    return Extraction(tuple({(span.type, span.start): span for span in gold.spans}.values()))


def require_clean(answer_format: AnswerFormat, task: ExtractionTask, text: str, completion: str) -> None:
    parsed = answer_format.parse_completion(task, text, completion)
    assert parsed.problems == ()
    assert align(text, parsed.items).ungrounded == ()
    assert all(item.text in text for item in parsed.items)


@pytest.mark.parametrize("answer_format", FORMATS)
@settings(deadline=None)
@given(case=annotated_texts())
@example(case=(ExtractionTask(types=['"', "\x7f", "\n", "无", "\\", "/"]), "<|im_end|>无", Extraction()))
def test_every_gold_target_is_allowed(answer_format: AnswerFormat, case: tuple[ExtractionTask, str, Extraction]) -> None:
    task, text, gold = case
    if answer_format.name == "lines":
        gold = keep_one_a_start(gold)
    if answer_format.find_unrepresentable(task, text, gold) is None:
        completion = answer_format.render_target(task, text, gold)
        assert accepts(answer_format.render_grammar(task, text), completion)


@pytest.mark.parametrize("answer_format", FORMATS)
@settings(deadline=None)
@given(task=tasks, text=texts, seed=st.integers(0, 1 << 30))
def test_random_completions_are_clean(answer_format: AnswerFormat, task: ExtractionTask, text: str, seed: int) -> None:
    completion = walk(answer_format.render_grammar(task, text), seed)
    if completion is not None:
        require_clean(answer_format, task, text, completion)


@settings(deadline=None)
@given(task=tasks, text=texts, seed=st.integers(0, 1 << 30))
def test_lines_copies_no_place_twice(task: ExtractionTask, text: str, seed: int) -> None:
    completion = walk(build_format("lines").render_grammar(task, text), seed, limit=3 * len(text) * len(task.types) + 50)
    assert completion is not None, "an answer of finitely many places did not end"
    items = build_format("lines").parse_completion(task, text, completion).items
    alignment = align(text, items)
    assert alignment.duplicates == ()
    assert len(alignment.placed) == len(items)


def various(length: int) -> str:
    """A text in which no character stands often."""
    return "黄芪当归，" + "".join(chr(0x4E00 + 7 * (number % 150)) for number in range(length - 5))


@pytest.mark.parametrize(
    ("text", "ordered"),
    [
        (various(MAX_ORDERED_CHUNKS), True),
        (various(MAX_ORDERED_CHUNKS + 1), False),
        ("黄芪当归，" * 60, True),
        ("黄芪当归，" * 80, False),
    ],
)
def test_texts_beyond_the_ordered_grammar(text: str, ordered: bool) -> None:
    grammar = build_format("lines").render_grammar(TASK, text)
    assert accepts(grammar, "药：黄芪；当归；归\n方剂：当归，")
    assert accepts(grammar, "药：" + "；".join(["归，"] * (len(text) // 5 + 1))) != ordered


@pytest.mark.parametrize(
    "text", ["的" * 141, "……" * 70, "a；" * 100, "黄芪，" * 80, " \n\t的" * 70, various(MAX_ORDERED_CHUNKS)]
)
def test_the_most_repetitive_texts_that_are_ordered_stay_within_the_limits(text: str) -> None:
    grammar = build_format("lines").render_grammar(TASK, text)
    assert "ORDERED" in grammar
    for seed in range(4):
        walk(grammar, seed, limit=60)


@pytest.mark.parametrize("text", ["的" * 400, "-" * 8000, "……" * 1000, " " * 300])
def test_repetitive_texts_stay_within_the_limits(text: str) -> None:
    grammar = build_format("lines").render_grammar(TASK, text)
    for seed in range(4):
        walk(grammar, seed, limit=60)


@pytest.mark.parametrize("answer_format", FORMATS)
def test_random_completions_end(answer_format: AnswerFormat) -> None:
    grammar = answer_format.render_grammar(TASK, TEXT)
    completions = [completion for seed in range(40) if (completion := walk(grammar, seed)) is not None]
    assert len(completions) >= 30
    for completion in completions:
        require_clean(answer_format, TASK, TEXT, completion)
    assert any(answer_format.parse_completion(TASK, TEXT, completion).items for completion in completions)


@pytest.mark.parametrize("answer_format", FORMATS)
def test_nothing_in_an_empty_text(answer_format: AnswerFormat) -> None:
    grammar = answer_format.render_grammar(TASK, "")
    nothing = answer_format.render_target(TASK, "", Extraction())
    assert accepts(grammar, nothing)
    assert not any(accepts(grammar, completion) for completion in ("药：黄", "黄_药", '{"药":["黄"]}', "[黄|药]", "O", " "))


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        (
            "lines",
            [
                "无",
                "药：黄芪",
                "药：黄芪；黄芪\n方：汤]",
                "方剂：黄芪[汤",
                "方：3_g\\\\n",
                "药：\\；黄芪\\：",
                "方剂：用\n方：黄",
            ],
            [
                *["", "药：", "药：；黄", "药：黄；", "药：人参", "药：黄芪；；黄芪", "药：黄芪\n", "无\n药：黄", "药：无"],
                *[
                    "药：黄芪；黄芪；黄芪",
                    "药：汤；黄芪；黄芪",
                    "药：3_g；3",
                    "方：黄\n药：黄",
                    "药：黄\n药：黄",
                    "病：黄",
                    "药：\\",
                    "药：；黄芪",
                    "药：：3",
                    "药：\\黄",
                    "药：黄汤",
                    " 无",
                ],
            ],
        ),
        (
            "pairs",
            ["无", "黄芪_药", "黄芪_药\n用_方剂\n黄芪_药", "3\\_g_方", "\\\\n_方"],
            ["", "_药", "黄芪", "黄芪_", "3_g_方", "3\\_方", "人参_药", "黄芪_药\n", "\\_药", "黄芪_病"],
        ),
        (
            "json",
            ["{}", '{"药":["黄芪","黄芪"],"方":["汤]；"]}', '{"方剂":["_g\\\\n"]}'],
            [
                "",
                '{"药":[]}',
                '{"药":[""]}',
                '{"药":["人参"]}',
                '{"方":["黄"],"药":["黄"]}',
                '{"药":["\\"]}',
                '{"药": ["黄"]}',
                "{",
            ],
        ),
        (
            "inline",
            [
                "用黄芪\\[汤\\]；黄芪：3_g\\\\n",
                "用[[黄芪|药]\\[汤\\]|方]；黄芪：3_g\\\\n",
                "[[用|药]|药]黄芪\\[汤\\]；黄芪：3_g\\\\n",
            ],
            [
                *[
                    "",
                    "用黄芪",
                    "用黄芪[汤]；黄芪：3_g\\\\n",
                    "用[|药]黄芪\\[汤\\]；黄芪：3_g\\\\n",
                    "[用黄芪\\[汤\\]；黄芪：3_g\\\\n",
                ],
                *["用黄芪\\[汤\\]；黄芪：3_g\\\\n[", "[用|病]黄芪\\[汤\\]；黄芪：3_g\\\\n", "[" * (GRAMMAR_DEPTH + 1)],
            ],
        ),
        (
            "bio",
            ["O O O O O O O O O O O O O O O", "O B-药 I-药 B-药 B-方 O O O O O O O O B-方剂 I-方剂"],
            [
                "",
                "O",
                "I-药 O O O O O O O O O O O O O O",
                "B-药 I-方 O O O O O O O O O O O O O",
                "O O O O O O O O O O O O O O O O",
            ],
        ),
    ],
)
def test_allowed_and_refused(name: str, allowed: list[str], refused: list[str]) -> None:
    grammar = build_format(name).render_grammar(TASK, TEXT)
    assert [completion for completion in allowed if not accepts(grammar, completion)] == []
    assert [completion for completion in refused if accepts(grammar, completion)] == []


@pytest.mark.parametrize("text", ["苔黄，无日；", "苔黄；无", "苔黄：\n", '苔黄_\\"'])
@pytest.mark.parametrize("answer_format", FORMATS)
def test_a_mention_may_end_before_a_character_that_begins_like_a_separator(answer_format: AnswerFormat, text: str) -> None:
    task = ExtractionTask(types=["无", "无日", "日"])
    gold = Extraction((Span("无", "苔黄", 0, 2), Span("日", text[2:], 2, len(text))))
    grammar = answer_format.render_grammar(task, text)
    assert accepts(grammar, answer_format.render_target(task, text, gold))
    assert accepts(grammar, answer_format.render_target(task, text, Extraction()))
    if answer_format.name == "lines":
        assert accepts(grammar, "无：苔黄；黄\n无日：苔；黄\n日：苔黄")


@pytest.mark.parametrize("answer_format", FORMATS)
@pytest.mark.parametrize("length", [1500, COUNTED_CHARACTERS, 8000])
def test_long_texts_stay_within_the_limits(answer_format: AnswerFormat, length: int) -> None:
    picker = random.Random(0)
    text = "".join(
        picker.choice("的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生；：_[]")
        for _ in range(length)
    )
    task = ExtractionTask(types=[f"类型{number}" for number in range(40)])
    completion = answer_format.render_target(task, text, Extraction())
    assert accepts(answer_format.render_grammar(task, text), completion)
    matcher = start_matcher(answer_format.render_grammar(task, text))
    for _ in range(50):
        allowed = np.flatnonzero(np.frombuffer(matcher.compute_logit_bias(), dtype=np.uint8))
        going_on = [int(token) for token in allowed if token != load_tokens().eos_token]
        if not going_on:
            break
        assert matcher.consume_token(picker.choice(going_on))
    assert not matcher.is_error(), matcher.get_error()
