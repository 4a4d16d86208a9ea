"""Whatever is chosen under the masks, of whatever text: answers parse, are verbatim, and keep to their budget.

The tokens are drawn, as from random logits; no model is needed. An answer that its budget cuts off keeps its whole items.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Extraction, Fields, Labels
from extune.domain.prediction import ProblemKind
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask, Task
from extune.engines.constraint import GrammarCompiler
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnyFormat
from extune.prompts.formats.bio import COUNTED_CHARACTERS
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
_WHOLE_TEXT = ("inline", "bio")  # an answer that is cut off cannot hold all of the text


@cache
def list_cases() -> list[tuple[Task, AnyFormat]]:
    extraction = ExtractionTask(types=_NAMES)
    record = RecordTask(
        fields={
            "药：名": RecordField(kind="verbatim"),
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

    def walk(self, grammar: str, picker: random.Random, budget: int) -> tuple[str, bool]:
        """An answer of at most `budget` tokens, and whether it ended by itself."""
        matcher = self._compiler.compile(Prompt("fuzzed", (), (), "", grammar=grammar))
        assert matcher is not None
        stopping, ids = picker.choice([0.0, 0.05, 0.3]), list[int]()
        while len(ids) < budget:
            allowed = np.flatnonzero(self._compiler.allowed([matcher])[0])
            assert len(allowed), f"dead end after {ids}"
            ends = self._stop in allowed
            token = self._stop if ends and picker.random() < stopping else int(picker.choice(allowed))
            if token == self._stop:
                return decode_completion(self._tokenizer, ids), True
            matcher.accept(token)
            ids.append(token)
        return decode_completion(self._tokenizer, ids), False


def require_sound(task: Task, answer_format: AnyFormat, text: str, completion: str, ended: bool) -> None:
    annotation, problems = read_completion(task, answer_format, text, completion, cut_off=not ended)
    allowed = {ProblemKind.DUPLICATE} if isinstance(task, ExtractionTask) else set()  # beyond the ordered grammar
    uncounted = answer_format.name == "bio" and len(text) > COUNTED_CHARACTERS
    if uncounted or (not ended and answer_format.name in _WHOLE_TEXT):
        allowed.add(ProblemKind.UNPARSEABLE)
    assert {problem.kind for problem in problems} <= allowed, (text, completion, problems)
    if isinstance(annotation, Extraction):
        assert annotation.ungrounded == ()
        assert all(text[span.start : span.end] == span.text for span in annotation.spans)
    elif isinstance(annotation, Fields):
        assert all(piece in text for piece in annotation.values.get("药：名", ()))
    else:
        assert isinstance(annotation, Labels)
        assert set(annotation.names) <= set(_NAMES)


def fuzz(tokenizer: PreTrainedTokenizerBase, count: int, budget: int) -> Counter[str]:
    """Require sound answers to `count` texts; how many ended by format."""
    walker, cases, ended_by = Walker(tokenizer), list_cases(), Counter[str]()
    for seed in range(count):
        picker = random.Random(seed)
        task, answer_format = cases[seed % len(cases)]
        text = draw_text(picker)
        grammar = answer_format.render_grammar(task, text)
        assert grammar is not None
        completion, ended = walker.walk(grammar, picker, budget)
        require_sound(task, answer_format, text, completion, ended)
        ended_by[answer_format.name] += ended
    return ended_by


def test_some_hundred_texts(tokenizer: PreTrainedTokenizerBase) -> None:
    assert all(count > 0 for count in fuzz(tokenizer, 240, 48).values())


@pytest.mark.slow
def test_ten_thousand_texts(tokenizer: PreTrainedTokenizerBase) -> None:
    assert all(count > 100 for count in fuzz(tokenizer, 10_000, 64).values())
