"""The wording and the syntax that the embedded base was trained on, character by character."""

from __future__ import annotations

import pytest

from extune.domain.annotation import Extraction, Span
from extune.domain.prompt import Message
from extune.domain.task import ClassificationTask, ExtractionTask
from extune.errors import RecipeError
from extune.prompts.formats import EXTRACTION_FORMATS, build_format
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


def test_other_kinds_of_task_are_refused() -> None:
    with pytest.raises(RecipeError, match="classification"):
        render_messages(ClassificationTask(label_names=["科技", "体育"]), build_format("lines"), TEXT)


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
        'MENTIONS: MENTION ("；" MENTION)*\n'
        "MENTION: COPY & /(?s:.+)/\n"
        'COPY: %regex {"substring_chunks": ["黄","\\\\；","\\\\n"]}\n'
    )
