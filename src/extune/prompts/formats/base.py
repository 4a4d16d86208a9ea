"""What an answer format is: three faces of one syntax, and what they exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.errors import FormatError

QUOTED_CHARACTERS = 80


@dataclass(frozen=True)
class ParsedItem:
    """One mention that a completion contains.

    Attributes:
        type: type name, unescaped; always one of the task's.
        text: the mention, unescaped; never empty.
        completion_start: where the mention (escapes included) begins in the completion, in characters.
        completion_end: exclusive.
        source_start: where the mention begins in the text, for formats that store positions; else None.
    """

    type: str
    text: str
    completion_start: int
    completion_end: int
    source_start: int | None = None


@dataclass(frozen=True)
class Parsed:
    """Mentions in the order of the completion, and what could not be read."""

    items: tuple[ParsedItem, ...]
    problems: tuple[Problem, ...] = ()


class AnswerFormat(Protocol):
    """One syntax for answers. Implementations are stateless; `version` changes with any change of the syntax."""

    @property
    def name(self) -> str:
        """As in `prompt.format`."""

    @property
    def version(self) -> int:
        """Part of the contract and of cache keys."""

    def describe(self, language: str) -> str:
        """The line(s) of the prompt that tell the model the syntax; `language` is `zh` or `en`."""

    def find_unrepresentable(self, task: ExtractionTask, text: str, gold: Extraction) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""

    def render_target(self, task: ExtractionTask, text: str, gold: Extraction) -> str:
        """The answer to learn. Call `require_representable` before."""

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. What cannot be read becomes a problem."""

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar (llguidance, Lark syntax) of completions that parse without problem and whose mentions are verbatim.

        It allows every gold target, in the format's own order; a format documents where it allows less or more.
        """


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


def require_representable(answer_format: AnswerFormat, task: ExtractionTask, text: str, gold: Extraction, where: str) -> None:
    """Raise a FormatError that says why `answer_format` cannot hold `gold`."""
    reason = answer_format.find_unrepresentable(task, text, gold)
    if reason is not None:
        raise FormatError(
            f"answer format {answer_format.name!r} cannot hold this annotation: {reason}",
            where=where,
            expected="an annotation that survives render and parse",
            fix="prompt.format=lines holds every set of spans; prompt.format=inline holds nested ones with positions",
        )
