"""Texts that stand twice, almost twice, and strings that were not labelled."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.data.checks.misses import LABELLED_AT_LEAST, Lexicon
from extune.data.checks.near import SIMILAR_FROM, NearTexts, fold_text, sign
from extune.data.checks.repeats import Fingerprints
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example

GOLDS: tuple[Annotation, ...] = (
    Extraction(), Labels(("甲",)), Labels(("甲", "乙")), Fields({"药": ("黄芪",)}), Fields({"药": "黄芪"}),
    Answer("是"), Answer(""),
    Extraction(ungrounded=(Mention("药", "黄芪"),)),
)  # fmt: skip
ROWS = st.lists(st.tuples(st.sampled_from("甲乙丙"), st.sampled_from(range(len(GOLDS)))), max_size=8)


def remember(fingerprints: Fingerprints, split: str, rows: list[tuple[str, int]]) -> None:
    for line, (text, gold) in enumerate(rows, 1):
        fingerprints.add(split, line, Example(str(line), text, GOLDS[gold]))


@given(ROWS)
def test_repeats_are_those_of_a_plain_search(rows: list[tuple[str, int]]) -> None:
    fingerprints = Fingerprints()
    remember(fingerprints, "train", rows)
    expected = set()
    for line, (text, gold) in enumerate(rows, 1):
        before = [(number, one) for number, one in enumerate(rows[: line - 1], 1) if one[0] == text]
        same = [number for number, one in before if one[1] == gold]
        if before:
            expected.add((line, same[0] if same else before[0][0], bool(same)))
    assert set(fingerprints.repeats("train")) == expected


@given(ROWS, ROWS)
def test_shared_texts_are_those_of_a_plain_search(rows: list[tuple[str, int]], others: list[tuple[str, int]]) -> None:
    fingerprints = Fingerprints()
    remember(fingerprints, "test", rows)
    remember(fingerprints, "train", others)
    texts = [text for text, _ in others]
    expected = {
        (line, texts.index(text) + 1, others[texts.index(text)][1] == gold)
        for line, (text, gold) in enumerate(rows, 1)
        if text in texts
    }
    assert set(fingerprints.shared("test", "train")) == expected


def test_an_order_without_meaning_does_not_make_another_annotation() -> None:
    fingerprints = Fingerprints()
    for line, names in enumerate((("甲", "乙"), ("乙", "甲")), 1):
        fingerprints.add("train", line, Example("", "文", Labels(names)))
    assert [repeat.same_gold for repeat in fingerprints.repeats("train")] == [True]


def test_another_history_makes_another_text() -> None:
    fingerprints = Fingerprints()
    for line, history in enumerate(((("问", "答"),), (), (("问答", ""),)), 1):
        fingerprints.add("train", line, Example("", "然后呢", Answer("好"), history=history))
    assert list(fingerprints.repeats("train")) == []


@pytest.mark.parametrize("edits", [0, 1, 3, 10, 60])
def test_the_estimated_similarity_is_about_the_true_one(edits: int) -> None:
    chance = random.Random(edits)
    letters = [chr(0x4E00 + number) for number in range(3000)]
    left = chance.choices(letters, k=120)
    right = list(left)
    for place in chance.sample(range(120), edits):
        right[place] = chance.choice(letters)
    one, two = ({"".join(text[i : i + 3]) for i in range(118)} for text in (left, right))
    true = len(one & two) / len(one | two)
    near = NearTexts()
    near.expect(("test", 1), "".join(left))
    near.look(("train", 2), "".join(right))
    found = list(near.results())
    if true == 1:
        assert [(one.found, one.by, one.similarity) for one in found] == [(("test", 1), ("train", 2), 1.0)]
    else:
        first, second = sign("".join(left)), sign("".join(right))
        estimate = (first == second).mean()
        assert estimate == pytest.approx(true, abs=0.15)  # three deviations of a mean of 100 draws
        assert bool(found) == (estimate >= SIMILAR_FROM)


def test_width_case_and_blanks_do_not_make_another_text() -> None:
    near = NearTexts()
    near.expect(("test", 1), "服用 Ａspirin，每日１次，共七日")
    near.look(("train", 2), "服用aspirin,每日1次,共七日")
    assert [(one.by, one.similarity) for one in near.results()] == [(("train", 2), 1.0)]
    assert fold_text("Ａ １") == "a1"


def test_short_texts_are_not_compared() -> None:
    assert sign("苔薄白") is None


def test_the_most_similar_text_is_named_across_batches() -> None:
    chance = random.Random(1)
    letters = [chr(0x4E00 + number) for number in range(3000)]
    text = "".join(chance.choices(letters, k=200))
    near = NearTexts()
    near.expect(("test", 1), text)
    for number in range(3000):
        near.look(("train", number), "".join(chance.choices(letters, k=12)))
    near.look(("train", 3001), text[:-8])
    near.look(("train", 3002), text[:-1])
    assert [one.by for one in near.results()] == [("train", 3002)]


def label(text: str, *mentions: tuple[str, str]) -> Example:
    spans = [Span(kind, string, text.index(string), text.index(string) + len(string)) for string, kind in mentions]
    return Example("", text, Extraction(tuple(spans)))


def find_misses(*examples: Example) -> list[tuple[int, int, str]]:
    lexicon = Lexicon()
    for example in examples:
        lexicon.learn(example)
    lexicon.freeze()
    for line, example in enumerate(examples, 1):
        lexicon.scan("train", line, example)
    return [(miss.line, miss.start, miss.text) for miss in lexicon.misses()]


LABELLED = [label("服黄芪汤", ("黄芪", "药"))] * 20


def test_a_string_without_label_is_a_miss() -> None:
    assert find_misses(*LABELLED, label("补以黄芪")) == [(21, 2, "黄芪")]


def test_a_string_inside_another_span_is_no_miss() -> None:
    assert find_misses(*LABELLED, label("服黄芪汤", ("黄芪汤", "方"))) == []
    assert find_misses(*LABELLED, label("炙黄芪", ("炙黄", "药"))) == []


def test_a_string_that_is_often_left_out_is_no_miss() -> None:
    assert len(find_misses(*LABELLED, *[label("补以黄芪")] * 2)) == 2
    assert find_misses(*LABELLED, *[label("补以黄芪")] * 3) == []


def test_a_string_of_two_types_is_no_miss() -> None:
    assert find_misses(*LABELLED, *[label("服黄芪汤", ("黄芪", "方"))] * 3, label("补以黄芪")) == []


def test_a_rare_string_is_no_miss() -> None:
    few = LABELLED[: LABELLED_AT_LEAST - 1]
    assert find_misses(*few, label("补以黄芪")) == []


def test_a_part_of_a_latin_word_is_no_miss() -> None:
    known = [label("查 CT 一次", ("CT", "检"))] * 20
    assert find_misses(*known, label("查 ACT 一次"), label("查 CT1 一次")) == []
    assert find_misses(*known, label("复查CT一次")) == [(21, 2, "CT")]


def test_the_longest_string_counts() -> None:
    longer = [label("服黄芪汤", ("黄芪汤", "方"))] * 20
    assert find_misses(*LABELLED, *longer, label("再服黄芪汤")) == [(41, 2, "黄芪汤")]
