"""An example becomes chat messages. The wording lives here and nowhere else.

In: task, answer format, text. Out: messages whose last is the user's. It knows nothing about templates and tokens.
`PROMPT_VERSION` is part of the contract: the embedded base has learned this wording, so any change of a character raises it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from extune.domain.prompt import Message
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.prompts.user_template import PromptTemplate

PROMPT_VERSION = 1

_INSTRUCTIONS = {
    "extraction": {
        "zh": "抽取文本中下列类型的内容，照抄原文。",
        "en": "Extract the following types of content, copied verbatim from the text.",
    },
    "record": {
        "zh": "根据文本填写下列各项。",
        "en": "Fill in the following fields from the text.",
    },
    "classification": {
        "zh": "判断文本属于下列哪一类。",
        "en": "Decide which of the following classes the text belongs to.",
    },
    "multi_label": {
        "zh": "判断文本属于下列哪些类。",
        "en": "Decide which of the following classes the text belongs to; there may be several, or none.",
    },
}
_HEADINGS = {
    "extraction": {"zh": "类型：", "en": "Types:"},
    "record": {"zh": "各项：", "en": "Fields:"},
    "classification": {"zh": "类别：", "en": "Classes:"},
    "multi_label": {"zh": "类别：", "en": "Classes:"},
}
_TEXT = {"zh": "文本：", "en": "Text:"}
_FOUND = {"zh": "训练数据里标过的（供参考）：", "en": "Labelled in the training data (for reference):"}
_ABOUT = {"zh": "：", "en": ": "}
_VERBATIM = {"zh": "（照抄原文）", "en": " (verbatim)"}
_ENUM = {"zh": "（选填：{}）", "en": " (one of: {})"}


class DescribesSyntax(Protocol):
    """What wording needs to know of an answer format."""

    def describe(self, language: str) -> str:
        """The line(s) of the prompt that tell the model the syntax; `language` is `zh` or `en`."""


def render_messages(
    task: Task,
    answer_format: DescribesSyntax,
    text: str,
    *,
    language: str = "zh",
    instruction: str | None = None,
    history: Sequence[tuple[str, str]] = (),
    template: PromptTemplate | None = None,
) -> tuple[Message, ...]:
    """Earlier turns and one user turn: instruction, answer syntax, names, the text last, so that rows share their beginning.

    Args:
        task: what is asked; of a classification with candidates per row, the task narrowed to this row's.
        answer_format: describes the answer's syntax.
        text: the text, or the window of it, that is asked about; stands last and unchanged.
        language: of extune's own wording.
        instruction: replaces the first line; None takes the task's, or extune's own.
        history: earlier questions and answers.
        template: the user's own arrangement of the last turn; its instruction is all that stands before the text.

    Raises:
        RecipeError: the template ignores the instruction or the text.
    """
    turns = [message for question, answer in history for message in (Message("user", question), Message("assistant", answer))]
    about = _render_instruction(task, answer_format, language, instruction)
    if template is not None:
        return (*turns, Message("user", template.fill("\n".join(about), text)))
    lines = [*about, text] if text else about
    if not isinstance(task, GenerationTask):
        lines = [*about, _TEXT[language], text]
    return (*turns, Message("user", "\n".join(lines)))


def show_found(text: str, found: str, language: str) -> str:
    """The text as a prompt asks about it where strings are looked up: below it what was found, in the answer's syntax."""
    return "\n".join([text, _FOUND[language], found])


def _render_instruction(task: Task, answer_format: DescribesSyntax, language: str, instruction: str | None) -> list[str]:
    """The lines before the text: instruction, syntax and names; of a generation the instruction, where there is one."""
    if isinstance(task, GenerationTask):
        return [line for line in (instruction or task.instruction,) if line]
    kind = "multi_label" if isinstance(task, ClassificationTask) and task.multi_label else task.kind
    first = instruction or task.instruction or _INSTRUCTIONS[kind][language]
    return [first, answer_format.describe(language), _HEADINGS[kind][language], *_list_names(task, language)]


def _list_names(task: ExtractionTask | RecordTask | ClassificationTask, language: str) -> list[str]:
    """One line per type, field or label, with its description."""
    if isinstance(task, RecordTask):
        return [_describe_name(name + _hint(field, language), field.about, language) for name, field in task.fields.items()]
    names = task.types if isinstance(task, ExtractionTask) else task.label_names
    return [_describe_name(name, about, language) for name, about in names.items()]


def _describe_name(name: str, about: str, language: str) -> str:
    return name + (_ABOUT[language] + about if about else "")


def _hint(field: RecordField, language: str) -> str:
    """What may stand in a field; free text needs no hint."""
    if field.kind == "verbatim":
        return _VERBATIM[language]
    return _ENUM[language].format("；".join(field.of)) if field.kind == "enum" else ""
