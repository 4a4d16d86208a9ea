"""Whatever is chosen under the masks, of whatever text: answers parse, are verbatim, and end within their budget.

The tokens are drawn, as from random logits; no model is needed. Only a budget that does not hold the shortest answer, as of the
formats that copy a long text, cuts one off; it keeps its whole items.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.prediction import Completion, ProblemKind
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask, Task
from extune.engines.constraint import GrammarCompiler
from extune.engines.decoding import Answer
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnyFormat
from extune.prompts.reading import read_completion
from extune.tokens.plain_text import decode_completion

_ALPHABETS = [
    "；：;:_[]|\\\"'{}/,. \u3000\n\r\t无OBI-",
    "黄芪当归桂枝汤，。的是一不",
    "ＡＢ１２（）！？，。",
    "🍵👩\u200d⚕️😀e\u0301",
    "abc DEF 0123\x7f\x00<|im_end|>",
]
_NAMES = ["药", "症；状", "a_b", "无", 'x"y', "[z]", "O", "\\"]
_WHOLE_TEXT = ("inline", "bio")  # their shortest answer is as long as the text


@cache
def list_cases() -> list[tuple[Task, AnyFormat]]:
    extraction = ExtractionTask(types=_NAMES)
    record = RecordTask(
        fields={
            "药：名": RecordField(kind="verbatim", distinct=True),
            "查": RecordField(kind="verbatim"),
            "病程": RecordField(kind="enum", of=("急性", "慢；性")),
            "诊断": RecordField(kind="text"),
        }
    )
    labels = {multi: ClassificationTask(label_names=_NAMES, multi_label=multi) for multi in (False, True)}
    return [
        *((extraction, answer_format) for answer_format in EXTRACTION_FORMATS),
        (record, build_format("fields")),
        (labels[False], build_format("choice")),
        (labels[True], build_format("choices")),
    ]


def draw_text(picker: random.Random) -> str:
    """Mostly short, sometimes empty or as long as 8,000 characters."""
    length = picker.choice([0, 1, 3, 10, 10, 30, 30, 60, 60, 100, 200, 400])
    if picker.random() < 0.004:
        length = 8000
    alphabet = "".join(picker.sample(_ALPHABETS, picker.randint(1, len(_ALPHABETS))))
    return "".join(picker.choices(alphabet, k=length))


class Walker:
    """Draws answers under the masks of the embedded base's tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer, self._stop = tokenizer, 2
        self._compiler = GrammarCompiler(tokenizer, len(tokenizer), [self._stop])

    def walk(self, prompt: Prompt, picker: random.Random, budget: int) -> tuple[Completion, bool]:
        """An answer of at most `budget` tokens, and whether such a budget holds any."""
        matcher = self._compiler.compile(prompt, budget)
        assert matcher is not None
        assert matcher.guard is not None
        answer = Answer(0, prompt, matcher, picker, budget)
        stopping = picker.choice([0.0, 0.05, 0.3])
        while not answer.finished:
            allowed = np.flatnonzero(self._compiler.allowed([matcher])[0])
            assert len(allowed), f"dead end after {answer.ids}"
            ends = self._stop in allowed
            drawn = self._stop if ends and picker.random() < stopping else int(picker.choice(allowed))
            assert matcher.guard.count_allowed([drawn]) == 1
            token = answer.settle(drawn)
            answer.append(token, stops=token == self._stop)
        ids = answer.ids[:-1] if answer.stopped else answer.ids
        return answer.to_completion(decode_completion(self._tokenizer, ids)), matcher.guard.can_close


def require_sound(task: Task, answer_format: AnyFormat, text: str, completion: Completion) -> None:
    """Of what the model wrote before the answer was closed, or cut off, and of the whole text as it stands."""
    cut_off = completion.finish == "length"
    closed_at = completion.closed_at[-1] if completion.finish == "closed" else None
    allowed = {ProblemKind.UNPARSEABLE} if cut_off else set()
    if answer_format.name == "inline":  # two marks of one type around one place
        allowed.add(ProblemKind.DUPLICATE)
    for at in {None, closed_at}:
        annotation, problems = read_completion(task, answer_format, text, completion.text, cut_off=cut_off, closed_at=at)
        assert {problem.kind for problem in problems} <= allowed, (text, completion, problems)
        require_verbatim(annotation, text)


def require_verbatim(annotation: Annotation, text: str) -> None:
    if isinstance(annotation, Extraction):
        assert annotation.ungrounded == ()
        assert all(text[span.start : span.end] == span.text for span in annotation.spans)
    elif isinstance(annotation, Fields):
        distinct = annotation.values.get("药：名", ())
        assert len(set(distinct)) == len(distinct)
        assert all(piece in text for piece in (*distinct, *annotation.values.get("查", ())))
    else:
        assert isinstance(annotation, Labels)
        assert set(annotation.names) <= set(_NAMES)


def fuzz(tokenizer: PreTrainedTokenizerBase, count: int, budget: int) -> Counter[str]:
    """Require sound answers, closed within the budget, to `count` texts; how often one ended by itself, by format."""
    walker, cases, ended_by = Walker(tokenizer), list_cases(), Counter[str]()
    for seed in range(count):
        picker = random.Random(seed)
        task, answer_format = cases[seed % len(cases)]
        text = draw_text(picker)
        prompt = Prompt("fuzzed", (), (), text, grammar=answer_format.render_grammar(task, text))
        prompt = replace(prompt, shape=answer_format.build_shape(task, text))
        completion, fits = walker.walk(prompt, picker, picker.choice([8, budget]))
        assert fits or answer_format.name in _WHOLE_TEXT
        assert (completion.finish == "length") == (not fits)
        require_sound(task, answer_format, text, completion)
        ended_by[answer_format.name] += completion.finish == "stop"
    return ended_by


def test_some_hundred_texts(tokenizer: PreTrainedTokenizerBase) -> None:
    assert all(count > 0 for count in fuzz(tokenizer, 240, 48).values())


def test_tokens_may_cross_every_border(tokenizer: PreTrainedTokenizerBase) -> None:
    crossing = copy.deepcopy(tokenizer)
    pieces = [
        "；",
        "的",
        "；的；",
        "的；",
        "\n",
        "\n查：的",
        "\\：名：的",
        '","',
        '":["',
        '"],"',
        "]}",
        '"]}',
        "_药\n",
        "的_药",
        "|药]",
        "[的",
        "[[",
        "]]",
    ]
    assert crossing.add_tokens([*pieces, " O", " O O", "O B-药", " I-药 O", "急性\n", "。。。。", "，的，的", "无"]) > 15
    assert all(count > 0 for count in fuzz(crossing, 200, 48).values())


@pytest.mark.slow
def test_ten_thousand_texts(tokenizer: PreTrainedTokenizerBase) -> None:
    assert all(count > 100 for count in fuzz(tokenizer, 10_000, 64).values())
