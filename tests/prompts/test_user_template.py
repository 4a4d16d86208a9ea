"""A user's template: the four-field file works as it is, and no part of an example is lost in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.domain.task import ExtractionTask, GenerationTask
from extune.errors import RecipeError
from extune.prompts.formats import build_format
from extune.prompts.messages import render_messages
from extune.prompts.user_template import PromptTemplate, read_prompt_template

FOUR_FIELDS = {
    "description": "for people",
    "prompt_input": "### 问题:\n{instruction}\n{input}\n### 回答:\n",
    "prompt_no_input": "### 问题:\n{instruction}\n### 回答:\n",
    "response_split": "### 回答:",
}
TEMPLATE = PromptTemplate.model_validate(FOUR_FIELDS)


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_json_and_yaml_read_alike(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"template.{ending}"
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in FOUR_FIELDS.items()]
    path.write_text(json.dumps(FOUR_FIELDS) if ending == "json" else "\n".join(lines), encoding="utf-8")
    assert read_prompt_template(path) == TEMPLATE


@given(st.text(min_size=1), st.text())
def test_every_part_stands_in_the_prompt_unchanged(instruction: str, text: str) -> None:
    content = TEMPLATE.fill(instruction, text)
    assert content.startswith(f"### 问题:\n{instruction}\n{text}")
    assert content.endswith("\n### 回答:\n")
    assert TEMPLATE.fill("", instruction) == TEMPLATE.fill(instruction, "")


def test_the_last_turn_is_the_templates() -> None:
    task = GenerationTask(instruction="回答。")
    *history, last = render_messages(
        task, build_format("answer"), "头痛怎么办？", history=[("你好", "您好")], template=TEMPLATE
    )
    assert [message.content for message in history] == ["你好", "您好"]
    assert last.content == "### 问题:\n回答。\n头痛怎么办？\n### 回答:\n"


def test_the_instruction_of_other_tasks_holds_syntax_and_names() -> None:
    task = ExtractionTask(types={"中药": "单味"})
    (own,) = render_messages(task, build_format("lines"), "黄芪")
    (message,) = render_messages(
        task, build_format("lines"), "黄芪", template=PromptTemplate(prompt_input="{instruction}\n文本：\n{input}")
    )
    assert message == own


@pytest.mark.parametrize(
    ("template", "instruction", "text", "field"),
    [
        ("{instruction}", "问", "文", "text"),
        ("{input}", "问", "文", "instruction"),
        ("nothing", "问", "", "instruction"),
    ],
)
def test_a_template_that_ignores_a_part_names_it(template: str, instruction: str, text: str, field: str) -> None:
    with pytest.raises(RecipeError, match=f"ignores the example's {field}"):
        PromptTemplate(prompt_input=template).fill(instruction, text)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"prompt_input": "{question}"}', '{"prompt_input": "{"}', '{"prompt_input": "a", "more": 1}', "{"]
)
def test_what_is_no_template_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "template.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match="is no prompt template"):
        read_prompt_template(path)


def test_double_braces_are_braces() -> None:
    assert PromptTemplate(prompt_input="{{{instruction}}}").fill("问", "") == "{问}"
