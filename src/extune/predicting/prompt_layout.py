"""The prompt of a run as one string in which only the text is missing, for programs that are not extune.

In: a contract and its tokenizer. Out: a `PromptLayout`, or a RunError where a run's prompts are more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from transformers import PreTrainedTokenizerBase

from extune.domain.task import ClassificationTask
from extune.errors import RunError
from extune.prompts.formats import build_format
from extune.prompts.messages import render_messages
from extune.prompts.templates import CONTENTS_APART
from extune.runs.contract import Contract
from extune.tokens.rendering import render_template


@dataclass(frozen=True)
class PromptLayout:
    """A prompt, and the mark in it that stands for the text."""

    mark: str
    prompt: str

    def fill(self, text: str) -> str:
        """The prompt that asks about `text`."""
        return self.prompt.replace(self.mark, text)


def render_layout(tokenizer: PreTrainedTokenizerBase, contract: Contract, run: str) -> PromptLayout:
    """What stands around a text.

    Args:
        tokenizer: of the run.
        contract: of a run with trained weights.
        run: as errors are to name it.

    Raises:
        RunError: the run has no single prompt that only lacks its text, or no weights of its own.
    """
    reason = None
    if contract.weights == "base":
        reason = "has no trained weights"
    elif isinstance(contract.task, ClassificationTask) and not contract.task.label_names:
        reason = "asks about labels that every row names for itself: its prompts differ in more than the text"
    elif contract.lookup is not None:
        reason = "looks up strings of each text: its prompts differ in more than the text"
    elif contract.chat_template.startswith(CONTENTS_APART):
        reason = "has a base that learned to read contents apart from its template, which takes more than a string"
    if reason is not None:
        raise RunError(
            reason,
            where=run,
            expected="a run whose prompts are one string around the text",
            fix=f"use it with extune: extune predict {run}",
        )
    marks = ("<" * number + "TEXT" + ">" * number for number in count(1))
    without = _render(tokenizer, contract, "")
    mark = next(one for one in marks if one not in without)
    return PromptLayout(mark, _render(tokenizer, contract, mark))


def _render(tokenizer: PreTrainedTokenizerBase, contract: Contract, text: str) -> str:
    messages = render_messages(
        contract.task, build_format(contract.format), text, language=contract.language, template=contract.template
    )
    return render_template(tokenizer, contract.chat_template, messages)
