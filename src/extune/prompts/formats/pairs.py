r"""`pairs`: one `实体_类型` line per mention, in text order; nothing found is `无`.

Repeats are written as often as they occur. `_`, newline and `\` inside names and mentions are escaped with `\`.
"""

from __future__ import annotations

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.copies import Copies
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_literal, write_copy_rules
from extune.prompts.shape import Chain, OneOf, Shape, literal
from extune.prompts.shape_lists import Copied, Filed, Series

NOTHING = "无"
_UNDERSCORE = "_"
_ESCAPER = Escaper(_UNDERSCORE)
_DESCRIPTION = {
    "zh": "每处一行，写作 内容_类型，没有则写：无",
    "en": "One line per mention, written as content_type, and if there is nothing: 无",
}


class PairsFormat:
    """`实体_类型` lines. Holds every set of spans as mentions; positions come back through alignment."""

    name = "pairs"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return _DESCRIPTION[language]

    def find_unrepresentable(self, task: ExtractionTask, text: str, gold: Extraction) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        return find_foreign(task, text, gold)

    def render_target(self, task: ExtractionTask, text: str, gold: Extraction) -> str:
        """The answer to learn."""
        lines = [_ESCAPER.escape(span.text) + _UNDERSCORE + _ESCAPER.escape(span.type) for span in gold.spans]
        return "\n".join(lines) or NOTHING

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. A line needs exactly one bare `_`."""
        items: list[ParsedItem] = []
        problems: list[Problem] = []
        if completion == NOTHING:
            return Parsed(())
        start = 0
        for line in completion.split("\n"):
            head = _ESCAPER.split(line, _UNDERSCORE)[0][1]
            mention, name = _ESCAPER.unescape(head), _ESCAPER.unescape(line[len(head) + 1 :])
            if not mention or not name:
                problems.append(make_problem(ProblemKind.UNPARSEABLE, line))
            elif name not in task.types:
                problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
            else:
                items.append(ParsedItem(name, mention, start, start + len(head), type_end=start + len(line)))
            start += len(line) + 1
        return Parsed(tuple(items), tuple(problems))

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar of the completions that parse without problem and whose mentions are verbatim."""
        if not text:
            return f"start: {quote_literal(NOTHING)}\n"
        types = " | ".join(quote_literal(_UNDERSCORE + _ESCAPER.escape(name)) for name in task.names)
        rules = [f'start: {quote_literal(NOTHING)} | pair ("\\n" pair)*', "pair: MENTION type", f"type: {types}"]
        return "\n".join([*rules, *write_copy_rules(_ESCAPER.chunks(text))]) + "\n"

    def build_shape(self, task: ExtractionTask, text: str) -> Shape:
        """`无` or pairs; a mention stands with a type at most as often as the text has it."""
        if not text:
            return Shape(literal(NOTHING))
        copies = Copies(_ESCAPER.chunks(text), "as often")
        copied = Copied(copies, task.names)
        types = [Chain((Filed(copies, name), literal(_UNDERSCORE + _ESCAPER.escape(name)))) for name in task.names]
        return Shape(OneOf((literal(NOTHING), Series(Chain((copied, OneOf(types))), b"\n", copied))))
