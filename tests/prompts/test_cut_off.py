"""Of an answer that was cut off anywhere, only items of the whole answer remain."""

from __future__ import annotations

from collections import Counter

import pytest
from extraction_cases import annotated_texts
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Answer, Extraction, Fields, Labels
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnswerFormat
from extune.prompts.reading import read_completion


@pytest.mark.parametrize("answer_format", [pytest.param(one, id=one.name) for one in EXTRACTION_FORMATS])
@given(case=annotated_texts(), data=st.data())
def test_no_part_of_a_mention_becomes_one(
    answer_format: AnswerFormat, case: tuple[ExtractionTask, str, Extraction], data: st.DataObject
) -> None:
    task, text, gold = case
    if answer_format.find_unrepresentable(task, text, gold) is not None:
        return
    completion = answer_format.render_target(task, text, gold)
    cut = completion[: data.draw(st.integers(0, len(completion)))]
    found, _ = read_completion(task, answer_format, text, cut, cut_off=True)
    assert isinstance(found, Extraction)
    assert found.ungrounded == ()
    assert Counter((span.type, span.text) for span in found.spans) <= Counter((span.type, span.text) for span in gold.spans)


@pytest.mark.parametrize("name", [answer_format.name for answer_format in EXTRACTION_FORMATS if answer_format.name != "inline"])
def test_what_stands_before_the_last_mention_is_kept(name: str) -> None:
    task, text = ExtractionTask(types=["药", "症"]), "用黄芪、当归治咳"
    answer_format = build_format(name)
    completion = {
        "lines": "药：黄芪；当归\n症：",
        "pairs": "黄芪_药\n当归_药\n咳",
        "json": '{"药":["黄芪","当归"],"症":["',
        "bio": "O B-药 I-药 O B-药 I-药 O B-症",
    }[name]
    found, _ = read_completion(task, answer_format, text, completion, cut_off=True)
    assert isinstance(found, Extraction)
    assert [(span.start, span.text) for span in found.spans] == [(1, "黄芪"), (4, "当归")]


def test_other_kinds() -> None:
    record = RecordTask(fields={"药名": RecordField(kind="verbatim"), "诊断": RecordField(kind="text")})
    found, problems = read_completion(record, build_format("fields"), "甘草片", "药名：甘草；甘草片\n诊断：感", cut_off=True)
    assert (found, problems) == (Fields({"药名": ("甘草", "甘草片")}), ())
    several = ClassificationTask(label_names=["科", "科技"], multi_label=True)
    assert read_completion(several, build_format("choices"), "", "科技；科", cut_off=True) == (Labels(("科技",)), ())
    one = ClassificationTask(label_names=["科", "科技"])
    assert read_completion(one, build_format("choice"), "", "科", cut_off=True)[0] == Labels(())
    assert read_completion(GenerationTask(), build_format("answer"), "", "多喝", cut_off=True) == (Answer("多喝"), ())
