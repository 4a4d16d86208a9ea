"""What an answer format is: three faces of one syntax, and what they exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from extune.domain.annotation import Annotation, Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask, Task
from extune.errors import FormatError
from extune.prompts.shape import Shape

QUOTED_CHARACTERS = 80

_OTHER_FORMAT = "prompt.format=lines holds every set of spans; prompt.format=inline holds nested ones with positions"
_REPAIRS = {
    "fields": "correct the value, or the field in task.fields",
    "choice": "correct the label, or add it to task.label_names or to the row's candidates",
    "answer": "write the answer, or leave the row out",
    "choices": "correct the labels, or add them to task.label_names or to the row's candidates",
}

TaskT_contra = TypeVar("TaskT_contra", contravariant=True)
GoldT_contra = TypeVar("GoldT_contra", contravariant=True)


@dataclass(frozen=True)
class ParsedItem:
    """One mention, field value, label or answer that a completion contains.

    Attributes:
        type: name of the type, field or label, unescaped; always one of the task's; empty for a free answer.
        text: the mention or value, unescaped; never empty.
        completion_start: where the mention (escapes included) begins in the completion, in characters.
        completion_end: exclusive.
        source_start: where the mention begins in the text, for formats that store positions; else None.
        type_end: where a type that is written behind the mention ends in the completion; None where it stands before.
    """

    type: str
    text: str
    completion_start: int
    completion_end: int
    source_start: int | None = None
    type_end: int | None = None


ItemScorer = Callable[[ParsedItem], float | None]
"""How sure a model is of an item that it wrote; None where nobody can say."""


@dataclass(frozen=True)
class Parsed:
    """Items in the order of the completion, and what could not be read."""

    items: tuple[ParsedItem, ...]
    problems: tuple[Problem, ...] = ()


class AnswerFormat(Protocol[TaskT_contra, GoldT_contra]):
    """One syntax for the answers of one kind of task.

    Implementations are stateless; `version` changes with any change of the syntax.
    """

    @property
    def name(self) -> str:
        """As in `prompt.format`."""

    @property
    def version(self) -> int:
        """Part of the contract and of cache keys."""

    def describe(self, language: str) -> str:
        """The line(s) of the prompt that tell the model the syntax; `language` is `zh` or `en`."""

    def find_unrepresentable(self, task: TaskT_contra, text: str, gold: GoldT_contra) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""

    def render_target(self, task: TaskT_contra, text: str, gold: GoldT_contra) -> str:
        """The answer to learn. Call `require_representable` before."""

    def parse_completion(self, task: TaskT_contra, text: str, completion: str) -> Parsed:
        """Read any string; never raises. What cannot be read becomes a problem."""

    def render_grammar(self, task: TaskT_contra, text: str) -> str | None:
        """Grammar (llguidance, Lark syntax) of completions that parse without problem and whose mentions are verbatim.

        None where any text is an answer. It allows every gold target, in the format's own order; a format documents where it
        allows less or more.
        """

    def build_shape(self, task: TaskT_contra, text: str) -> Shape | None:
        """The same answers in parts: how one that is begun ends soonest, and which pieces a list may not take again.

        None where any text is an answer.
        """


AnyFormat: TypeAlias = AnswerFormat[Any, Any]
"""A format whose kind is known only when the program runs; `build_format` gives these."""


def make_problem(kind: ProblemKind, piece: str) -> Problem:
    """A problem that quotes the beginning of `piece`."""
    return Problem(kind, piece[:QUOTED_CHARACTERS] or "(empty)")


def find_foreign(task: ExtractionTask, text: str, gold: Extraction) -> str | None:
    """Why no format can hold `gold`, or None: a type that the task lacks, or a mention that the text lacks."""
    for span in gold.spans:
        if span.type not in task.types:
            return f"type {span.type!r} is not in the task"
        if text[span.start : span.end] != span.text:
            return f"span [{span.start}, {span.end}) of type {span.type!r} does not read so in the text"
    if gold.ungrounded:
        return f"{len(gold.ungrounded)} mention(s) without position"
    return None


def require_representable(answer_format: AnyFormat, task: Task, text: str, gold: Annotation, where: str) -> None:
    """Raise a FormatError that says why `answer_format` cannot hold `gold`."""
    reason = answer_format.find_unrepresentable(task, text, gold)
    if reason is not None:
        raise FormatError(
            f"answer format {answer_format.name!r} cannot hold this annotation: {reason}",
            where=where,
            expected="an annotation that survives render and parse",
            fix=_REPAIRS.get(answer_format.name, _OTHER_FORMAT),
        )
