"""What a format writes is read back; what a model wrote wrongly becomes a problem and costs nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.annotation import Answer, Extraction, Fields, Labels
from extune.domain.prediction import ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.errors import FormatError
from extune.prompts.formats import FORMATS, build_format
from extune.prompts.formats.base import require_representable
from extune.prompts.reading import empty_annotation, read_completion

RECORD = RecordTask(
    fields={
        "药：名": RecordField(kind="verbatim"),
        "病程": RecordField(kind="enum", of=("急性", "慢；性")),
        "诊断": RecordField(kind="text"),
    }
)
CLASSES = ClassificationTask(label_names=["科技", "体；育", "无"])
SEVERAL = ClassificationTask(label_names=["科技", "体；育", "财\n经"], multi_label=True)
TASKS: list[Task] = [ExtractionTask(types=["药"]), RECORD, CLASSES, SEVERAL, GenerationTask()]

awkward = st.text("药；：\\\n无a ", min_size=1, max_size=6)
records = st.fixed_dictionaries(
    {},
    optional={
        "药：名": st.lists(awkward, min_size=1, max_size=3).map(tuple),
        "病程": st.sampled_from(["急性", "慢；性"]),
        "诊断": awkward,
    },
)


def kinds(problems: tuple[object, ...]) -> list[ProblemKind]:
    return [problem.kind for problem in problems]  # type: ignore[attr-defined]


@given(records)
def test_records_round_trip(values: dict[str, str | tuple[str, ...]]) -> None:
    text = "".join(values.get("药：名", ()))
    answer_format = build_format("fields")
    require_representable(answer_format, RECORD, text, Fields(values), "here")
    target = answer_format.render_target(RECORD, text, Fields(values))
    assert read_completion(RECORD, answer_format, text, target) == (Fields(values), ())


@given(st.sampled_from(CLASSES.names), st.sets(st.sampled_from(SEVERAL.names)))
def test_labels_round_trip(one: str, some: set[str]) -> None:
    for task, names in ((CLASSES, (one,)), (SEVERAL, tuple(name for name in SEVERAL.names if name in some))):
        answer_format = build_format(task.answer_formats[0])
        target = answer_format.render_target(task, "", Labels(names))
        assert read_completion(task, answer_format, "", target) == (Labels(names), ())


@given(st.text(min_size=1))
def test_answers_are_themselves(text: str) -> None:
    answer_format = build_format("answer")
    assert answer_format.render_target(GenerationTask(), "", Answer(text)) == text
    assert read_completion(GenerationTask(), answer_format, "", text) == (Answer(text), ())


@given(st.sampled_from(TASKS), st.text("药：名；病程无\\\n科技体", max_size=20))
def test_any_completion_is_read(task: Task, completion: str) -> None:
    annotation, problems = read_completion(task, build_format(task.answer_formats[0]), "药名", completion)
    assert type(annotation) is type(empty_annotation(task))
    assert completion or problems or isinstance(annotation, Extraction)


def test_a_piece_that_the_text_lacks_is_kept_and_named() -> None:
    annotation, problems = read_completion(RECORD, build_format("fields"), "用黄芪", "药\\：名：黄芪；人参")
    assert annotation == Fields({"药：名": ("黄芪", "人参")})
    assert [(one.kind, one.detail) for one in problems] == [(ProblemKind.UNGROUNDED, "人参")]


def test_of_a_field_written_twice_the_first_counts() -> None:
    completion = "病程：急性\n病程：慢\\；性\n诊断：感冒\n诊断：肺炎\n科室：内科"
    annotation, problems = read_completion(RECORD, build_format("fields"), "", completion)
    assert annotation == Fields({"病程": "急性", "诊断": "感冒"})
    assert sorted(kinds(problems)) == [ProblemKind.DUPLICATE, ProblemKind.DUPLICATE, ProblemKind.UNKNOWN_TYPE]


@pytest.mark.parametrize("completion", ["", "军事", "科技。", "科技；体\\；育"])
def test_an_answer_that_is_no_label_is_no_label(completion: str) -> None:
    annotation, problems = read_completion(CLASSES, build_format("choice"), "", completion)
    assert annotation == Labels(())
    assert problems


def test_candidates_narrow_the_labels() -> None:
    narrow = ClassificationTask(label_names={"科技": "互联网", "体育": ""}).narrow(["体育", "军事", "科技"])
    assert narrow.label_names == {"体育": "", "军事": "", "科技": "互联网"}
    assert read_completion(narrow, build_format("choice"), "", "军事")[0] == Labels(("军事",))


def test_every_format_belongs_to_the_tasks_that_name_it() -> None:
    assert {name for task in TASKS for name in task.answer_formats} == {answer_format.name for answer_format in FORMATS}


def test_a_distinct_list_has_a_piece_once_however_often_it_was_written() -> None:
    task = RecordTask(fields={"药": RecordField(kind="verbatim", distinct=True), "查": RecordField(kind="verbatim")})
    found, problems = read_completion(task, build_format("fields"), "黄芪", "药：芪；黄；芪\n查：芪；芪")
    assert found == Fields({"药": ("芪", "黄"), "查": ("芪", "芪")})
    assert kinds(problems) == [ProblemKind.DUPLICATE]
    gold = Fields({"药": ("芪", "芪")})
    with pytest.raises(FormatError, match="lists '芪' twice"):
        require_representable(build_format("fields"), task, "黄芪", gold, "row 3")


@pytest.mark.parametrize(
    ("name", "completion", "closed_at", "kept"),
    [
        ("lines", "药：黄芪；芪", 4, []),
        ("lines", "药：黄芪；芪", 5, ["黄芪"]),
        ("pairs", "黄芪_药", 3, []),
        ("pairs", "黄芪_药\n芪_药", 5, ["黄芪"]),
        ("json", '{"药":["黄芪"]}', 9, []),
        ("json", '{"药":["黄芪"]}', 10, ["黄芪"]),
        ("inline", "用[黄芪|药]", 4, []),
        ("inline", "用[[黄芪|药]|药]", 9, ["黄芪"]),
        ("bio", "O B-药 I-药", 5, []),
        ("bio", "O B-药 O", 7, ["黄"]),
    ],
)
def test_what_masks_wrote_or_tore_is_left_out(name: str, completion: str, closed_at: int, kept: list[str]) -> None:
    found, problems = read_completion(TASKS[0], build_format(name), "用黄芪", completion, closed_at=closed_at)
    assert isinstance(found, Extraction)
    assert [span.text for span in found.spans] == kept
    assert ProblemKind.UNPARSEABLE not in kinds(problems)


def test_free_text_is_kept_as_far_as_it_came() -> None:
    fields = build_format("fields")
    for closed_at, kept in ((4, {}), (5, {"诊断": "感冒"}), (6, {"诊断": "感冒"})):
        found, _ = read_completion(RECORD, fields, "", "诊断：感冒", closed_at=closed_at)
        assert found == Fields(kept)
    assert read_completion(RECORD, fields, "", "病程：急性", closed_at=5) == (Fields({}), ())
    assert read_completion(CLASSES, build_format("choice"), "", "科技", closed_at=2) == (Labels(()), ())
