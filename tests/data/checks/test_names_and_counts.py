"""Names that are almost the same, counts that are lopsided, spans that overlap, and characters that get lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.checks.doctored import DataSet, FakeTokenizing

from extune.data.checks.balance import check_balance, count_names, is_empty, list_names
from extune.data.checks.doctor import examine
from extune.data.checks.names import classify_name, edit_distance, find_variant
from extune.data.checks.report import SplitFacts
from extune.data.checks.spans import check_overlaps, find_absent
from extune.data.checks.tokens import Measured, TokenCheck
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask

NAMES = ("中药", "CT检查", "中医诊断", "西医诊断")
WORDS = st.text("ab中", max_size=5)


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("ＣＴ检查", "name-variant", "CT检查"),
        ("ct 检查", "name-variant", "CT检查"),
        ("中要", "name-typo", "中药"),
        ("CT检", "name-typo", "CT检查"),
        ("西医诊段", "name-typo", "西医诊断"),
        ("地点", "unknown-name", "地点"),
        ("药", "name-typo", "中药"),
    ],
)
def test_an_unknown_name_is_explained(name: str, code: str, says: str) -> None:
    found, detail = classify_name(name, NAMES)
    assert found == code
    assert says in detail


def test_a_variant_of_two_names_is_nobodys() -> None:
    assert find_variant("ｃｔ", ("CT", "ct")) is None


@given(WORDS, WORDS, WORDS)
def test_the_edit_distance_is_one(left: str, right: str, third: str) -> None:
    distance = edit_distance(left, right)
    assert distance == edit_distance(right, left)
    assert (distance == 0) == (left == right)
    assert abs(len(left) - len(right)) <= distance <= max(len(left), len(right))
    assert distance <= edit_distance(left, third) + edit_distance(third, right)


def test_names_of_the_task_that_look_alike(tmp_path: Path) -> None:
    task = ExtractionTask(types=dict.fromkeys(["中药", "症状", "CT检查", "ＣＴ检查"], ""))
    report = examine(DataSet(1).write_jsonl(tmp_path), task, FakeTokenizing())
    assert {one.code for one in report} == {"names-alike", "unseen-name"}


@pytest.mark.parametrize(
    ("gold", "counts", "empty"),
    [
        (Extraction((Span("药", "黄", 0, 1), Span("药", "芪", 1, 2))), {"药": 2}, False),
        (Extraction(ungrounded=(Mention("药", "黄"),)), {"药": 1}, False),
        (Extraction(), {}, True),
        (Labels(("甲", "乙")), {"甲": 1, "乙": 1}, False),
        (Labels(()), {}, True),
        (Fields({"药": ("黄芪",), "病": "", "证": ()}), {"药": 1}, False),
        (Answer("是"), {}, False),
        (Answer(" "), {}, True),
        (None, {}, False),
    ],
)
def test_annotations_of_every_kind_are_counted(gold: Annotation | None, counts: dict[str, int], empty: bool) -> None:
    assert count_names(gold) == counts
    assert is_empty(gold) == empty


CLASSES = ClassificationTask(label_names={"甲": "", "乙": ""})


@pytest.mark.parametrize(
    ("counts", "empty", "codes"),
    [
        ({"甲": 500, "乙": 11}, 0, []),
        ({"甲": 550, "乙": 11}, 0, ["imbalance"]),
        ({"甲": 500, "乙": 9}, 0, ["rare-name", "imbalance"]),
        ({"甲": 500, "乙": 0}, 0, ["unseen-name"]),
        ({"甲": 20, "乙": 10}, 66, []),
        ({"甲": 20, "乙": 10}, 67, ["mostly-empty"]),
    ],
)
def test_lopsided_counts(counts: dict[str, int], empty: int, codes: list[str]) -> None:
    facts = SplitFacts("train", "utf-8", examples=100, empty=empty, counts=counts)
    assert [code for code, _ in check_balance(facts, CLASSES)] == codes


def test_fields_are_not_compared_with_each_other() -> None:
    task = RecordTask.model_validate({"fields": {"甲": {"kind": "text"}, "乙": {"kind": "text"}}})
    facts = SplitFacts("train", "utf-8", examples=600, counts={"甲": 600, "乙": 11})
    assert list(check_balance(facts, task)) == []
    assert list_names(task) == ("甲", "乙")
    assert list_names(GenerationTask()) == ()


def test_overlaps_are_told_once_a_kind() -> None:
    text = "黄芪建中汤"
    places = [(0, 5), (0, 2), (1, 3), (1, 3), (2, 4)]
    types = ["方", "药", "药", "证", "证"]
    gold = Extraction(tuple(Span(kind, text[a:b], a, b) for (a, b), kind in zip(places, types, strict=True)))
    assert [code for code, _ in check_overlaps(gold)] == ["nested-spans", "crossing-spans", "same-place"]
    assert list(check_overlaps(Labels(("甲",)))) == []


def test_strings_that_are_not_in_the_text() -> None:
    fields = Fields({"药": ("黄芪", "当归"), "结论": "好"})
    assert list(find_absent(Example("1", "服黄芪", fields))) == ["当归"]
    assert list(find_absent(Example("1", "服黄芪", Extraction(ungrounded=(Mention("药", "桂枝"),))))) == ["桂枝"]


class Lossy:
    """Takes two tokens a character, decomposes nothing, and turns full-width digits into plain ones."""

    def measure(self, example: Example, _split: str) -> Measured:
        outcome = "windowed" if len(example.text) > 10 else "dropped" if len(example.text) > 5 else "kept"
        return Measured(2 * len(example.text), 9, outcome, 1)

    def round_trip(self, text: str) -> str:
        return text.replace("１", "1").replace("ab", "ba")


def test_what_the_tokenizer_does_is_told() -> None:
    facts = SplitFacts("train", "utf-8", characters=30)
    check = TokenCheck(Lossy(), "train", facts)
    texts = ("服１片", "服ab", "服药七日止", "服药七日而止", "服药七日而止，共七日七夜")
    found = [[code for code, _ in check.check(Example("", text, Extraction()))] for text in texts]
    assert found == [["lost-characters"], ["lost-characters"], [], ["dropped"], ["windowed"]]
    assert (facts.dropped, facts.windowed, facts.longest_tokens, facts.open_occurrences) == (1, 1, 9, 5)
    assert facts.tokens == 2 * sum(map(len, texts))
    assert [code for code, _ in check.check_fertility()] == ["high-fertility"]


def test_lost_characters_are_named() -> None:
    check = TokenCheck(Lossy(), "train", SplitFacts("train", "utf-8"))
    assert [detail for _, detail in check.check(Example("", "服１，１日", Extraction()))] == ["U+FF11 １"]
