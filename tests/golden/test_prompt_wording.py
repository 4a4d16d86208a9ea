"""The wording and the syntax that the embedded base was trained on, character by character."""

from __future__ import annotations

import pytest

from extune.domain.annotation import Extraction, Fields, Span
from extune.domain.prompt import Message
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
from extune.prompts.formats.base import AnswerFormat
from extune.prompts.formats.choice import ChoiceFormat, ChoicesFormat
from extune.prompts.formats.fields import FieldsFormat
from extune.prompts.messages import PROMPT_VERSION, render_messages

TASK = ExtractionTask(types={"中药": "单味药材，如黄芪", "方：剂": "", "证_候": ""})
TEXT = "桂枝汤；黄芪、桂枝，\n桂枝\\[气虚]"
GOLD = Extraction(
    tuple(
        Span(name, TEXT[start:end], start, end)
        for name, start, end in [("方：剂", 0, 3), ("中药", 0, 2), ("中药", 4, 6), ("中药", 7, 9), ("证_候", 15, 17)]
    )
)

LINES_ZH = (
    """抽取文本中下列类型的内容，照抄原文。
每类一行，写作 类型：内容；内容，没有则写：无
类型：
中药：单味药材，如黄芪
方：剂
证_候
文本：
"""
    + TEXT
)

LINES_EN = (
    """Extract the following types of content, copied verbatim from the text.
One line per type, written as type：content；content, and if there is nothing: 无
Types:
中药: 单味药材，如黄芪
方：剂
证_候
Text:
"""
    + TEXT
)

DESCRIPTIONS = {
    "lines": "每类一行，写作 类型：内容；内容，没有则写：无",
    "pairs": "每处一行，写作 内容_类型，没有则写：无",
    "json": '写作一个 JSON 对象，如 {"类型":["内容","内容"]}，没有则写：{}',
    "inline": "照抄全文，把每处内容写作 [内容|类型]，可以嵌套",
    "bio": "逐字标注，用空格隔开：开头写 B-类型，其余写 I-类型，不属于任何类型写 O",
}

TARGETS = {
    "lines": "中药：桂枝；黄芪；桂枝\n方\\：剂：桂枝汤\n证_候：气虚",
    "pairs": "桂枝汤_方：剂\n桂枝_中药\n黄芪_中药\n桂枝_中药\n气虚_证\\_候",
    "json": '{"中药":["桂枝","黄芪","桂枝"],"方：剂":["桂枝汤"],"证_候":["气虚"]}',
    "inline": "[[桂枝|中药]汤|方：剂]；[黄芪|中药]、[桂枝|中药]，\n桂枝\\\\\\[[气虚|证_候]\\]",
}

NOTHING = {
    "lines": "无",
    "pairs": "无",
    "json": "{}",
    "inline": "桂枝汤；黄芪、桂枝，\n桂枝\\\\\\[气虚\\]",
    "bio": " ".join("O" * len(TEXT)),
}


@pytest.mark.parametrize(("language", "expected"), [("zh", LINES_ZH), ("en", LINES_EN)])
def test_the_prompt(language: str, expected: str) -> None:
    assert PROMPT_VERSION == 1
    assert render_messages(TASK, build_format("lines"), TEXT, language=language) == (Message("user", expected),)


def test_own_instructions_replace_the_first_line_only() -> None:
    rest = LINES_ZH.split("\n", 1)[1]
    task = TASK.model_copy(update={"instruction": "找出下列内容。"})
    assert render_messages(task, build_format("lines"), TEXT)[0].content == "找出下列内容。\n" + rest
    assert render_messages(task, build_format("lines"), TEXT, instruction="就这一句：")[0].content == "就这一句：\n" + rest


RECORD_ZH = """根据文本填写下列各项。
每项一行，写作 名称：内容；内容，没有内容的项不写，全都没有则写：无
各项：
药品名称（照抄原文）：对话中出现的药名
病程（选填：急性；慢性）
诊断：医生的结论
文本：
正文"""
CHOICE_ZH = """判断文本属于下列哪一类。
只写类别的名称
类别：
科技：互联网与电子产品
体育
文本：
正文"""
CHOICES_ZH = """判断文本属于下列哪些类。
写作 类别；类别，都不属于则写：无
类别：
科技：互联网与电子产品
体育
文本：
正文"""
RECORD = RecordTask(
    fields={
        "药品名称": RecordField(kind="verbatim", about="对话中出现的药名"),
        "病程": RecordField(kind="enum", of=("急性", "慢性")),
        "诊断": RecordField(kind="text", about="医生的结论"),
    }
)
CLASSES = {"科技": "互联网与电子产品", "体育": ""}


def test_the_prompt_of_a_record() -> None:
    assert render_messages(RECORD, FieldsFormat(), "正文") == (Message("user", RECORD_ZH),)


@pytest.mark.parametrize(
    ("answer_format", "multi_label", "expected"), [(ChoiceFormat(), False, CHOICE_ZH), (ChoicesFormat(), True, CHOICES_ZH)]
)
def test_the_prompt_of_a_classification(answer_format: AnswerFormat, multi_label: bool, expected: str) -> None:
    task = ClassificationTask(label_names=CLASSES, multi_label=multi_label)
    assert render_messages(task, answer_format, "正文") == (Message("user", expected),)


def test_the_target_of_a_record() -> None:
    gold = Fields({"药品名称": ("阿莫西林", "a；b"), "病程": "急性", "诊断": "感冒；发热：\n多喝水"})
    target = FieldsFormat().render_target(RECORD, "", gold)
    assert target == "药品名称：阿莫西林；a\\；b\n病程：急性\n诊断：感冒；发热：\\n多喝水"


@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_descriptions_and_versions(name: str) -> None:
    answer_format = build_format(name)
    assert (answer_format.describe("zh"), answer_format.version) == (DESCRIPTIONS[name], 1)
    assert answer_format.describe("en").isprintable()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_targets(name: str) -> None:
    assert build_format(name).render_target(TASK, TEXT, GOLD) == TARGETS[name]


def test_a_bio_target() -> None:
    task = ExtractionTask(types=["中 药"])
    gold = Extraction((Span("中 药", "黄芪", 1, 3), Span("中 药", "参", 3, 4)))
    assert build_format("bio").render_target(task, "用黄芪参", gold) == "O B-中\\ 药 I-中\\ 药 B-中\\ 药"


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_nothing_found(name: str) -> None:
    assert build_format(name).render_target(TASK, TEXT, Extraction()) == NOTHING[name]


def test_every_format_is_pinned_here() -> None:
    assert (
        set(DESCRIPTIONS) == set(NOTHING) == {*TARGETS, "bio"} == {answer_format.name for answer_format in EXTRACTION_FORMATS}
    )


def test_the_grammar_of_lines() -> None:
    task = ExtractionTask(types=["中药", "方：剂", '"'])
    assert build_format("lines").render_grammar(task, "黄；\n") == (
        'start: "无" | lines\n'
        "lines: from_0 | from_1 | from_2\n"
        "from_0: part_0 rest_1\n"
        "from_1: part_1 rest_2\n"
        'rest_1: ("\\n" part_1)? rest_2\n'
        "from_2: part_2\n"
        'rest_2: ("\\n" part_2)?\n'
        'part_0: "中药：" MENTIONS\n'
        'part_1: "方\\\\：剂：" MENTIONS\n'
        'part_2: "\\"：" MENTIONS\n'
        "MENTIONS: ORDERED\n"
        "ORDERED: FROM_0\n"
        "FROM_0: AT_0 | FROM_1\n"
        'AT_0: RUN_0 ("；" FROM_1)?\n'
        'RUN_0: "黄" RUN_1?\n'
        "FROM_1: AT_1 | FROM_2\n"
        'AT_1: RUN_1 ("；" FROM_2)?\n'
        'RUN_1: "\\\\；" RUN_2?\n'
        "FROM_2: AT_2\n"
        "AT_2: RUN_2\n"
        'RUN_2: "\\\\n"\n'
    )
