"""Rules and made texts: what they label reads as it should, spans of one concept never overlap."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from tools.embedded_base import made_clinical, made_news
from tools.embedded_base.concepts import CONCEPTS, Labelled, unite_parts
from tools.embedded_base.made_text import Maker
from tools.embedded_base.sources import replace_names
from tools.embedded_base.tasks import build_task
from tools.embedded_base.weak_labels import keep_longest, label


def read(labelled: Labelled, concept: str) -> list[str]:
    return [labelled.text[start:end] for start, end in labelled.spans[concept]]


def test_medical_words_longest_match() -> None:
    found = label("慢性浅表性胃炎患者胃痛、反酸，口服奥美拉唑和三九胃泰颗粒，查胃镜。", "medical")
    assert read(found, "disease") == ["慢性浅表性胃炎"]
    assert read(found, "symptom") == ["胃痛", "反酸"]
    assert read(found, "western_drug") == ["奥美拉唑"]
    assert read(found, "patent") == ["三九胃泰颗粒"]
    assert read(found, "exam") == ["胃镜"]


def test_names_are_flat() -> None:
    found = label("市长王建国2001年5月3日在北京大学会见了来自法国的罗德·拉沃。", "general")
    assert read(found, "organization") == ["北京大学"]
    assert read(found, "place") == ["法国"]
    assert read(found, "person") == ["王建国", "罗德·拉沃"]
    assert read(found, "date") == ["2001年5月3日"]


@pytest.mark.parametrize(
    ("text", "concept", "expected"),
    [
        ("依照《劳动法》第三条和第十二条第一款", "article", ["第三条", "第十二条第一款"]),
        ("依照《劳动法》处理", "book", ["劳动法"]),
        ("增长12.5%，达到3亿元", "percent", ["12.5%"]),
        ("增长12.5%，达到3亿元", "money", ["3亿元"]),
        ("他说“好”。", "quotation", ["好"]),
        ("1998年建成，长20公里", "amount", ["20公里"]),
    ],
)
def test_patterns(text: str, concept: str, expected: list[str]) -> None:
    assert read(label(text, "law"), concept) == expected


def test_keep_longest_leaves_no_overlap() -> None:
    items = [("a", 0, 2), ("b", 1, 6), ("c", 6, 8), ("d", 5, 7)]
    assert keep_longest(items) == [("b", 1, 6), ("c", 6, 8)]


@pytest.mark.parametrize(
    ("grammar", "known", "start"),
    [
        (made_clinical.GRAMMAR, made_clinical.KNOWN, "clinical_text"),
        (made_news.GRAMMAR, made_news.KNOWN, "news_text"),
        (made_news.GRAMMAR, made_news.KNOWN_IN_CONTRACTS, "contract_text"),
    ],
)
def test_made_texts_are_labelled_and_complete(grammar: dict, known: list[str], start: str) -> None:
    maker = Maker(grammar, known, random.Random(0))
    for _ in range(300):
        labelled = maker.make(start)
        assert "{" not in labelled.text
        assert set(known) <= set(labelled.spans) <= set(CONCEPTS)
        for ranges in labelled.spans.values():
            assert all(left[1] <= right[0] for left, right in pairwise(ranges))
            assert all(0 <= left < right <= len(labelled.text) for left, right in ranges)


def test_every_production_can_be_expanded() -> None:
    for module in (made_clinical, made_news):
        maker = Maker(module.GRAMMAR, module.KNOWN, random.Random(1))
        for symbol in module.GRAMMAR:
            for _ in range(40):
                assert maker.make(symbol) is not None


def test_replaced_names_stand_where_the_labels_say() -> None:
    labelled = label("张伟强说，北京大学在上海市。张伟强出生于法国。", "general")
    names = {concept: set(read(labelled, concept)) for concept in ("person", "place", "organization")}
    assert names == {"person": {"张伟强"}, "place": {"上海市", "法国"}, "organization": {"北京大学"}}
    moved = replace_names(labelled, random.Random(4))
    for concept, count in (("person", 2), ("place", 2), ("organization", 1)):
        assert len(moved.spans[concept]) == count
    assert len(set(read(moved, "person"))) == 1
    assert moved.text.endswith("。")


def test_gold_of_every_task_reads_as_its_text() -> None:
    generator = random.Random(5)
    maker = Maker(made_clinical.GRAMMAR, made_clinical.KNOWN, generator)
    for _ in range(500):
        text, task, gold = build_task(maker.make("clinical_text"), generator)
        assert all(text[span.start : span.end] == span.text and span.type in task.types for span in gold.spans)


def test_unions_need_all_their_parts() -> None:
    assert unite_parts({"symptom": [(0, 2)], "tongue": []}).keys() == {"symptom", "tongue"}
    united = unite_parts({"symptom": [(4, 6)], "tongue": [(0, 2)], "pulse": []})
    assert united["clinical"] == [(0, 2), (4, 6)]
