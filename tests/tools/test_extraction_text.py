"""Rows are extune's own prompts; packing aligns rows to sequences and weighs answers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tools.embedded_base.concepts import Labelled
from tools.embedded_base.extraction_text import CharacterEncoder, build_makers, draw_question, join_labelled, rows_from
from tools.embedded_base.packing import TrainingRow, fill_sequences, pack_rows
from tools.embedded_base.sources import SOURCES, Document
from tools.embedded_base.tokenizer import build_tokenizer

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.task import ExtractionTask
from extune.prompts.formats import build_format
from extune.prompts.messages import render_messages

TEXT = "黄芪30克，补气固表。𠮷"


@pytest.fixture(scope="module")
def encoder() -> CharacterEncoder:
    return CharacterEncoder(build_tokenizer(["抽取文本中下列类型的内容"], 5000, 512))


def test_row_equals_chat_template_and_tokenizer(encoder: CharacterEncoder) -> None:
    task = ExtractionTask(types={"中药": "单味药", "剂量": ""})
    answer_format = build_format("lines")
    message = render_messages(task, answer_format, TEXT)[-1]
    gold = Extraction((Span("中药", "黄芪", 0, 2),))
    row = encoder.encode_row(message.content, TEXT, answer_format.render_target(task, TEXT, gold))
    tokenizer = encoder.tokenizer
    turns = [{"role": "user", "content": message.content}]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert list(row.prompt_ids) == tokenizer.encode(rendered, add_special_tokens=False)
    assert tokenizer.decode(row.prompt_ids[slice(*row.text_span)]) == TEXT
    assert tokenizer.decode(row.answer_ids) == "中药：黄芪<|im_end|>"


def make_rows(count: int, seed: int) -> list[TrainingRow]:
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        prompt, answer = generator.randint(5, 60), generator.randint(2, 20)
        rows.append(TrainingRow((index % 100 + 300,) * prompt, (index % 100 + 600,) * answer, (2, prompt - 2)))
    return rows


def test_sequences_hold_every_fitting_row_once() -> None:
    rows = make_rows(500, 0)
    sequences = list(fill_sequences(rows, 64, open_limit=8))
    assert all(sum(map(len, members)) <= 64 for members in sequences)
    assert sorted(id(row) for members in sequences for row in members) == sorted(id(row) for row in rows if len(row) <= 64)


def test_packing_aligns_and_weighs() -> None:
    rows = [TrainingRow((10, 11, 12, 13), (20, 21), (1, 3))]
    ids, weights = pack_rows(rows, 8, np.arange(100, 200, dtype=np.uint16), end_id=0, text_weight=0.25, plain_share=0.5)
    assert ids.tolist() == [10, 11, 12, 13, 20, 21, 0, 100, 101, 102, 103, 104, 105, 106, 107, 108]
    assert weights.tolist() == [0, 0.25, 0.25, 0, 1, 1, 0] + [0.25] * 9


def test_packing_gives_whole_sequences() -> None:
    ids, weights = pack_rows(make_rows(300, 1), 128, np.zeros(1000, dtype=np.uint16), end_id=0)
    assert len(ids) == len(weights)
    assert len(ids) % 128 == 0
    assert ids.dtype == np.uint16
    assert weights.dtype == np.float16


def list_pairs(gold: Annotation) -> list[tuple[str, str]]:
    """What parsed items of any kind of gold are: (type, text), (field, value) or (label, label)."""
    if isinstance(gold, Extraction):
        return [(span.type, span.text) for span in gold.spans]
    if isinstance(gold, Labels):
        return [(name, name) for name in gold.names]
    assert isinstance(gold, Fields)
    values = {name: (value,) if isinstance(value, str) else value for name, value in gold.values.items()}
    return [(name, piece) for name, pieces in values.items() for piece in pieces if piece]


def test_joined_texts_keep_what_is_known_in_all() -> None:
    left = Labelled("黄芪好", {"herb": [(0, 2)], "date": []})
    right = Labelled("用当归", {"herb": [(1, 3)], "person": []})
    joined = join_labelled([left, right])
    assert joined == Labelled("黄芪好\n用当归", {"herb": [(0, 2), (5, 7)]})


def test_rows_repeat_for_a_seed_and_parse_back(encoder: CharacterEncoder) -> None:
    text = "患者胃痛三天\n口服奥美拉唑。建议查胃镜。\n您好，建议到正规医院检查，按时服药，注意休息。"
    sources = {
        name: [Document(text, domain, frozenset(), ((0, 15), (15, 21), (22, 45)))] for name, (domain, _) in SOURCES.items()
    }
    nothing = np.empty(0, dtype=np.uint64)
    first, second = (list(rows_from(sources, encoder.tokenizer, 60, 3, nothing)) for _ in range(2))
    assert first == second
    generator = random.Random(2)
    makers = build_makers(generator)
    questions = [draw_question(sources, generator, makers, long=index % 9 == 0) for index in range(300)]
    asked = [question for question in questions if question is not None]
    assert {question.task.kind for question in asked} == {"extraction", "record", "classification", "generation"}
    for question in asked:
        task, text, gold, answer_format = question.task, question.text, question.gold, question.answer_format
        assert answer_format.find_unrepresentable(task, text, gold) is None
        if isinstance(gold, Answer):
            continue
        parsed = answer_format.parse_completion(task, text, answer_format.render_target(task, text, gold))
        assert parsed.problems == ()
        assert sorted((item.type, item.text) for item in parsed.items) == sorted(list_pairs(gold))
    assert set(build_makers(random.Random(0))) == {"clinical", "news", "contracts"}
