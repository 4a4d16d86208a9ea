r"""`choice` and `choices`, for classification: the name of one label; or names in the task's order apart by `；`, none is `无`.

`；`, newline and `\` inside names are escaped with `\`.
"""

from __future__ import annotations

from extune.domain.annotation import Labels
from extune.domain.prediction import ProblemKind
from extune.domain.task import ClassificationTask
from extune.prompts.formats.base import Parsed, ParsedItem, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_literal, write_sequence_rules
from extune.prompts.shape import OneOf, Part, Shape, Subset, literal

NOTHING = "无"
_SEMICOLON = "；"
_ESCAPER = Escaper(_SEMICOLON)


class ChoiceFormat:
    """One label."""

    name = "choice"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return {"zh": "只写类别的名称", "en": "Write only the name of the class"}[language]

    def find_unrepresentable(self, task: ClassificationTask, text: str, gold: Labels) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        if len(gold.names) != 1:
            return f"{len(gold.names)} labels; the task takes one"
        return _find_foreign(task, gold)

    def render_target(self, task: ClassificationTask, text: str, gold: Labels) -> str:
        """The answer to learn."""
        return _ESCAPER.escape(gold.names[0])

    def parse_completion(self, task: ClassificationTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. Anything but a label of the task is a problem."""
        return _read_labels(task, [(0, completion)])

    def render_grammar(self, task: ClassificationTask, text: str) -> str:
        """Grammar of the labels."""
        return "start: " + " | ".join(quote_literal(_ESCAPER.escape(name)) for name in task.label_names) + "\n"

    def build_shape(self, task: ClassificationTask, text: str) -> Shape:
        """One of the labels."""
        return Shape(OneOf(_name_parts(task)))


class ChoicesFormat:
    """Any number of labels. A label called `无` cannot be told from none."""

    name = "choices"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        zh, en = "写作 类别；类别，都不属于则写：无", "Write them as class；class, and if there is none: 无"
        return {"zh": zh, "en": en}[language]

    def find_unrepresentable(self, task: ClassificationTask, text: str, gold: Labels) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        if gold.names == (NOTHING,):
            return f"a single label {NOTHING!r} reads like no label at all"
        return _find_foreign(task, gold)

    def render_target(self, task: ClassificationTask, text: str, gold: Labels) -> str:
        """The answer to learn."""
        return _SEMICOLON.join(_ESCAPER.escape(name) for name in task.label_names if name in gold.names) or NOTHING

    def parse_completion(self, task: ClassificationTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. Unknown and repeated labels are problems."""
        return Parsed(()) if completion == NOTHING else _read_labels(task, _ESCAPER.split(completion, _SEMICOLON))

    def render_grammar(self, task: ClassificationTask, text: str) -> str:
        """Grammar of the sets of labels, in the task's order."""
        rules = [f"start: {quote_literal(NOTHING)} | labels"]
        rules += write_sequence_rules("labels", len(task.label_names), _SEMICOLON)
        rules += [f"part_{number}: {quote_literal(_ESCAPER.escape(name))}" for number, name in enumerate(task.label_names)]
        return "\n".join(rules) + "\n"

    def build_shape(self, task: ClassificationTask, text: str) -> Shape:
        """`无` or labels."""
        return Shape(OneOf((literal(NOTHING), Subset(_name_parts(task), _SEMICOLON.encode()))))


def _name_parts(task: ClassificationTask) -> list[Part]:
    return [literal(_ESCAPER.escape(name)) for name in task.label_names]


def _find_foreign(task: ClassificationTask, gold: Labels) -> str | None:
    foreign = [name for name in gold.names if name not in task.label_names]
    return f"label {foreign[0]!r} is not in the task" if foreign else None


def _read_labels(task: ClassificationTask, pieces: list[tuple[int, str]]) -> Parsed:
    """One item per known label, the first time that it stands there."""
    items: dict[str, ParsedItem] = {}
    problems = []
    for offset, piece in pieces:
        name = _ESCAPER.unescape(piece)
        if name is None:
            problems.append(make_problem(ProblemKind.UNPARSEABLE, piece))
        elif name not in task.label_names:
            problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
        elif name in items:
            problems.append(make_problem(ProblemKind.DUPLICATE, name))
        else:
            items[name] = ParsedItem(name, name, offset, offset + len(piece))
    return Parsed(tuple(items.values()), tuple(problems))
