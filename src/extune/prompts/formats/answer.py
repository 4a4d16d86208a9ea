"""`answer`, for generation: the text itself, as it is."""

from __future__ import annotations

from extune.domain.annotation import Answer
from extune.domain.prediction import ProblemKind
from extune.domain.task import GenerationTask
from extune.prompts.formats.base import Parsed, ParsedItem, make_problem


class AnswerTextFormat:
    """The answer without any syntax. Holds every text that is not empty; any completion is one."""

    name = "answer"
    version = 1

    def describe(self, language: str) -> str:
        """Nothing: there is no syntax to describe."""
        return ""

    def find_unrepresentable(self, task: GenerationTask, text: str, gold: Answer) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        return None if gold.text else "the answer is empty"

    def render_target(self, task: GenerationTask, text: str, gold: Answer) -> str:
        """The answer to learn."""
        return gold.text

    def parse_completion(self, task: GenerationTask, text: str, completion: str) -> Parsed:
        """The whole completion; only an empty one is a problem."""
        if not completion:
            return Parsed((), (make_problem(ProblemKind.UNPARSEABLE, completion),))
        return Parsed((ParsedItem("", completion, 0, len(completion)),))

    def render_grammar(self, task: GenerationTask, text: str) -> None:
        """None: any text may be answered."""

    def build_shape(self, task: GenerationTask, text: str) -> None:
        """None: any text may be answered."""
