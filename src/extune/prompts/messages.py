"""An example becomes chat messages. The wording lives here and nowhere else.

In: task, answer format, text. Out: messages whose last is the user's. It knows nothing about templates and tokens.
`PROMPT_VERSION` is part of the contract: the embedded base has learned this wording, so any change of a character raises it.
"""

from __future__ import annotations

from extune.domain.prompt import Message
from extune.domain.task import ExtractionTask, Task
from extune.errors import RecipeError
from extune.prompts.formats.base import AnswerFormat

PROMPT_VERSION = 1

_INSTRUCTION = {
    "zh": "抽取文本中下列类型的内容，照抄原文。",
    "en": "Extract the following types of content, copied verbatim from the text.",
}
_TYPES = {"zh": "类型：", "en": "Types:"}
_TEXT = {"zh": "文本：", "en": "Text:"}
_ABOUT = {"zh": "：", "en": ": "}


def render_messages(
    task: Task, answer_format: AnswerFormat, text: str, *, language: str = "zh", instruction: str | None = None
) -> tuple[Message, ...]:
    """One user turn: instruction, answer syntax, types, then the text, so that all rows of a task share their beginning.

    Args:
        task: what to extract; only extraction is supported yet.
        answer_format: describes the answer's syntax.
        text: the text, or the window of it, that is asked about; stands last and unchanged.
        language: of extune's own wording.
        instruction: replaces the first line; None takes the task's, or extune's own.
    """
    if not isinstance(task, ExtractionTask):
        raise RecipeError(
            f"task kind {task.kind!r} is not supported yet",
            where="task.kind",
            expected="extraction",
            fix="use kind: extraction",
        )
    first = instruction or task.instruction or _INSTRUCTION[language]
    types = [name + (_ABOUT[language] + about if about else "") for name, about in task.types.items()]
    lines = [first, answer_format.describe(language), _TYPES[language], *types, _TEXT[language], text]
    return (Message("user", "\n".join(lines)),)
