"""Every difference between gold and a prediction is found once, and gold with all of them made is the prediction."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.errors import RecipeError
from extune.studies.disagreements import count_items, find_disagreements, require_comparable

TEXT = "黄芪三十克补气固表止汗当归五克"
SPANS = ExtractionTask(types=["药", "症", "量"])
ONE = ClassificationTask(label_names=["甲", "乙", "丙"])
SEVERAL = ClassificationTask(label_names=["甲", "乙", "丙"], multi_label=True)
RECORD = RecordTask(
    fields={
        "药": RecordField(kind="verbatim"),
        "程": RecordField(kind="enum", of=("急", "慢")),
        "论": RecordField(kind="text"),
    }
)


def differences(task: Task, gold: Annotation, predicted: Annotation, *problems: Problem) -> list[tuple[str, object, object]]:
    found = find_disagreements(task, Example("1", TEXT, gold), Prediction("1", predicted, "", problems))
    return [(one.kind, one.gold, one.predicted) for one in found]


def span(type_name: str, start: int, end: int) -> Span:
    return Span(type_name, TEXT[start:end], start, end)


@st.composite
def extractions(draw: st.DrawFn) -> Extraction:
    places = draw(st.lists(st.tuples(st.sampled_from(SPANS.names), st.integers(0, 13), st.integers(1, 4)), max_size=6))
    return Extraction(tuple({span(name, start, min(start + length, len(TEXT))) for name, start, length in places}))


@settings(deadline=None, max_examples=60)
@given(extractions(), extractions())
def test_each_differing_span_is_in_one_disagreement(gold: Extraction, predicted: Extraction) -> None:
    found = find_disagreements(SPANS, Example("1", TEXT, gold), Prediction("1", predicted, ""))

    def keys(side: str) -> Counter[tuple[int, int, str]]:
        items = [getattr(one, side) for one in found]
        return Counter((item["start"], item["end"], item["type"]) for item in items if item)

    assert keys("gold") == Counter(one.key for one in gold.spans if one not in predicted.spans)
    assert keys("predicted") == Counter(one.key for one in predicted.spans if one not in gold.spans)
    for one in found:
        assert isinstance(one.corrected, Extraction)
        removed, added = set(gold.spans) - set(one.corrected.spans), set(one.corrected.spans) - set(gold.spans)
        assert (len(removed), len(added)) == (int(one.gold is not None), int(one.predicted is not None))


def test_spans_that_overlap_are_one_disagreement() -> None:
    gold = Extraction((span("药", 0, 2), span("量", 2, 5), span("症", 9, 11)))
    predicted = Extraction((span("药", 0, 3), span("症", 2, 5), span("药", 11, 13)))
    kinds = [kind for kind, _, _ in differences(SPANS, gold, predicted)]
    assert kinds == ["boundary", "type", "unpredicted", "unlabelled"]


def test_a_single_label_is_one_disagreement() -> None:
    assert differences(ONE, Labels(("甲",)), Labels(("乙",))) == [("label", {"label": "甲"}, {"label": "乙"})]
    assert differences(ONE, Labels(("甲",)), Labels(("甲",))) == []
    assert differences(ONE, Labels(("甲",)), Labels(())) == []


def test_each_of_several_labels_is_one() -> None:
    found = differences(SEVERAL, Labels(("甲", "乙")), Labels(("乙", "丙")))
    assert found == [("unpredicted", {"label": "甲"}, None), ("unlabelled", None, {"label": "丙"})]


def test_fields_are_compared_by_piece_and_free_text_is_not() -> None:
    gold = Fields({"药": ("黄芪", "黄芪"), "程": "急", "论": "好"})
    predicted = Fields({"药": ("黄芪", "当归"), "程": "慢", "论": "坏"})
    assert differences(RECORD, gold, predicted) == [
        ("unpredicted", {"field": "药", "value": "黄芪"}, None),
        ("unlabelled", None, {"field": "药", "value": "当归"}),
        ("value", {"field": "程", "value": "急"}, {"field": "程", "value": "慢"}),
    ]
    assert count_items(RECORD, gold) == 3


@pytest.mark.parametrize("kind", [ProblemKind.CUT_OFF, ProblemKind.CLOSED_EARLY, ProblemKind.UNPARSEABLE, ProblemKind.TOO_LONG])
def test_what_was_not_answered_is_no_disagreement(kind: ProblemKind) -> None:
    problem = Problem(kind)
    assert differences(SPANS, Extraction((span("药", 0, 2),)), Extraction(), problem) == []
    assert differences(SEVERAL, Labels(("甲",)), Labels(()), problem) == []
    assert differences(RECORD, Fields({"药": ("黄芪",), "程": "急"}), Fields({}), problem) == []


@pytest.mark.parametrize("task", [GenerationTask(), RecordTask(fields={"论": RecordField(kind="text")})])
def test_free_answers_are_refused(task: Task) -> None:
    with pytest.raises(RecipeError, match="a different wording is no label error"):
        require_comparable(task)


def test_answers_cannot_be_compared() -> None:
    with pytest.raises(TypeError):
        differences(GenerationTask(), Answer("a"), Answer("b"))
