r"""`lines`, the default: one line per type that occurs, `类型：a；b`, mentions in text order; nothing found is `无`.

Types stand in the task's order; repeats are written as often as they occur. `；`, `：`, newline and `\` inside names and
mentions are escaped with `\`. Nothing is ever stripped: a mention may be a space.
"""

from __future__ import annotations

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.copies import Copies
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import (
    can_be_ordered,
    quote_literal,
    write_copy_rules,
    write_ordered_rules,
    write_sequence_rules,
)
from extune.prompts.shape import Chain, OneOf, Shape, Subset, literal
from extune.prompts.shape_lists import list_pieces

NOTHING = "无"
_COLON, _SEMICOLON = "：", "；"
_ESCAPER = Escaper(_SEMICOLON + _COLON)
_DESCRIPTION = {
    "zh": "每类一行，写作 类型：内容；内容，没有则写：无",
    "en": "One line per type, written as type：content；content, and if there is nothing: 无",
}


class LinesFormat:
    """`类型：a；b`. Holds every set of spans as mentions; positions come back through alignment."""

    name = "lines"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return _DESCRIPTION[language]

    def find_unrepresentable(self, task: ExtractionTask, text: str, gold: Extraction) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        return find_foreign(task, text, gold)

    def render_target(self, task: ExtractionTask, text: str, gold: Extraction) -> str:
        """The answer to learn."""
        ordered = sorted(gold.spans, key=lambda span: (span.start, span.end))
        lines = []
        for name in task.names:
            mentions = [_ESCAPER.escape(span.text) for span in ordered if span.type == name]
            if mentions:
                lines.append(_ESCAPER.escape(name) + _COLON + _SEMICOLON.join(mentions))
        return "\n".join(lines) or NOTHING

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. The first bare `：` of a line ends the type."""
        items: list[ParsedItem] = []
        problems: list[Problem] = []
        if completion == NOTHING:
            return Parsed(())
        start = 0
        for line in completion.split("\n"):
            head = _ESCAPER.split(line, _COLON)[0][1]
            name = _ESCAPER.unescape(head)
            if name is None or len(head) == len(line):
                problems.append(make_problem(ProblemKind.UNPARSEABLE, line))
            elif name not in task.types:
                problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
            else:
                first = len(head) + len(_COLON)
                _read_mentions(name, line[first:], start + first, items, problems)
            start += len(line) + 1
        return Parsed(tuple(items), tuple(problems))

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar of the completions that parse without problem, with verbatim mentions and types in the task's order.

        In texts that `can_be_ordered` each mention of a line begins behind the beginning of the one before it: a model can
        neither repeat a mention beyond its occurrences nor loop. Of two mentions of one type that begin at the same character
        it allows one. In longer texts, and where few characters stand again and again, any order and number is allowed.

        All mentions of a line are one terminal: llguidance's lexer is greedy by bytes, and `；` begins with the bytes of
        other full-width characters, so that it would still be trying to prolong the mention when the separator has begun.
        """
        if not text:
            return f"start: {quote_literal(NOTHING)}\n"
        rules = [f"start: {quote_literal(NOTHING)} | lines", *write_sequence_rules("lines", len(task.types), "\n")]
        for number, name in enumerate(task.names):
            rules.append(f"part_{number}: {quote_literal(_ESCAPER.escape(name) + _COLON)} MENTIONS")
        chunks = _ESCAPER.chunks(text)
        if can_be_ordered(chunks):
            rules += ["MENTIONS: ORDERED", *write_ordered_rules(chunks, _SEMICOLON)]
        else:
            rules += [f"MENTIONS: MENTION ({quote_literal(_SEMICOLON)} MENTION)*", *write_copy_rules(chunks)]
        return "\n".join(rules) + "\n"

    def build_shape(self, task: ExtractionTask, text: str) -> Shape:
        """`无` or lines. Where the grammar does not keep text order, a mention stands at most as often as the text has it."""
        if not text:
            return Shape(literal(NOTHING))
        chunks = _ESCAPER.chunks(text)
        copies = Copies(chunks, "in order" if can_be_ordered(chunks) else "as often")
        lines = [Chain((literal(_ESCAPER.escape(name) + _COLON), list_pieces(copies, name, _SEMICOLON))) for name in task.names]
        return Shape(OneOf((literal(NOTHING), Subset(lines, b"\n"))))


def _read_mentions(name: str, body: str, start: int, items: list[ParsedItem], problems: list[Problem]) -> None:
    """Append the mentions of one line's body, which begins at `start` in the completion."""
    for offset, piece in _ESCAPER.split(body, _SEMICOLON):
        mention = _ESCAPER.unescape(piece)
        if mention:
            items.append(ParsedItem(name, mention, start + offset, start + offset + len(piece)))
        else:
            problems.append(make_problem(ProblemKind.UNPARSEABLE, piece))
