r"""`fields`, for records: a line `名称：内容` per field with a value, verbatim pieces apart by `；`; none is `无`.

Fields stand in the task's order. In names, pieces and enum values `；`, `：`, newline and `\` are escaped with `\`; in free
text, which ends with its line, only newline and `\` are, so that a model can write it as it writes any text.
"""

from __future__ import annotations

from extune.domain.annotation import Fields, find_repeat
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import RecordField, RecordTask
from extune.prompts.copies import Copies
from extune.prompts.formats.base import Parsed, ParsedItem, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_literal, write_copy_rules, write_sequence_rules
from extune.prompts.shape import Chain, Free, OneOf, Part, Shape, Subset, literal
from extune.prompts.shape_lists import list_pieces

NOTHING = "无"
MAX_FREE_CHARACTERS = 2000
_COLON, _SEMICOLON = "：", "；"
_ESCAPER = Escaper(_SEMICOLON + _COLON)
_FREE_ESCAPER = Escaper("")
_DESCRIPTION = {
    "zh": "每项一行，写作 名称：内容；内容，没有内容的项不写，全都没有则写：无",
    "en": "One line per field with content, written as name：content；content, and if there is nothing at all: 无",
}


class FieldsFormat:
    """`名称：内容；内容`. Holds every record whose values are not empty; an absent and an empty value are the same."""

    name = "fields"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return _DESCRIPTION[language]

    def find_unrepresentable(self, task: RecordTask, text: str, gold: Fields) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        for name, value in gold.values.items():
            field = task.fields.get(name)
            if field is None:
                return f"field {name!r} is not in the task"
            if isinstance(value, str) == (field.kind == "verbatim"):
                return f"the value of field {name!r} is {'one text' if isinstance(value, str) else 'a list'}"
            if not isinstance(value, str) and not all(value):
                return f"a piece of field {name!r} is empty"
            if field.distinct and (repeated := find_repeat(value)) is not None:
                return f"field {name!r} is distinct and lists {repeated!r} twice"
            if field.kind == "enum" and value and value not in field.of:
                return f"field {name!r} is {value!r}, not one of {', '.join(field.of)}"
        return None

    def render_target(self, task: RecordTask, text: str, gold: Fields) -> str:
        """The answer to learn."""
        lines = []
        for name, field in task.fields.items():
            value = gold.values.get(name)
            if value:
                lines.append(_ESCAPER.escape(name) + _COLON + _write_value(field, value))
        return "\n".join(lines) or NOTHING

    def parse_completion(self, task: RecordTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. The first bare `：` of a line ends the name; repeated fields keep all lines."""
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
            elif name not in task.fields:
                problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
            else:
                first = len(head) + len(_COLON)
                _read_value(name, task.fields[name], line[first:], start + first, items, problems)
            start += len(line) + 1
        return Parsed(tuple(items), tuple(problems))

    def render_grammar(self, task: RecordTask, text: str) -> str:
        """Grammar of the completions that parse without problem: fields in the task's order, verbatim pieces out of the text.

        Free text is bounded. Without a text, verbatim fields stay absent.
        """
        fields = [(name, field) for name, field in task.fields.items() if text or field.kind != "verbatim"]
        if not fields:
            return f"start: {quote_literal(NOTHING)}\n"
        rules = [f"start: {quote_literal(NOTHING)} | lines", *write_sequence_rules("lines", len(fields), "\n")]
        for number, (name, field) in enumerate(fields):
            rules.append(f"part_{number}: {quote_literal(_ESCAPER.escape(name) + _COLON)} {_value_rule(number, field)}")
            if field.kind == "enum":
                rules.append(f"value_{number}: " + " | ".join(quote_literal(_ESCAPER.escape(value)) for value in field.of))
        kinds = {field.kind for _, field in fields}
        if "text" in kinds:
            rules.append(f"FREE: /([^\\\\\\n]|\\\\[\\\\n]){{1,{MAX_FREE_CHARACTERS}}}/")
        if "verbatim" in kinds:
            rules.append(f"MENTIONS: MENTION ({quote_literal(_SEMICOLON)} MENTION)*")
            rules += write_copy_rules(_ESCAPER.chunks(text))
        return "\n".join(rules) + "\n"

    def build_shape(self, task: RecordTask, text: str) -> Shape:
        """`无` or lines. A `distinct` list takes a piece once; free text that runs in a circle ends its field."""
        chunks = _ESCAPER.chunks(text)
        copies = {True: Copies(chunks, "once"), False: Copies(chunks, "any")}
        lines = [
            Chain((literal(_ESCAPER.escape(name) + _COLON), _value_part(name, field, copies[field.distinct])))
            for name, field in task.fields.items()
            if text or field.kind != "verbatim"
        ]
        return Shape(OneOf((literal(NOTHING), Subset(lines, b"\n"))))


def _value_rule(number: int, field: RecordField) -> str:
    return {"verbatim": "MENTIONS", "text": "FREE", "enum": f"value_{number}"}[field.kind]


def _value_part(name: str, field: RecordField, copies: Copies) -> Part:
    if field.kind == "verbatim":
        return list_pieces(copies, name, _SEMICOLON)
    return Free() if field.kind == "text" else OneOf([literal(_ESCAPER.escape(value)) for value in field.of])


def _write_value(field: RecordField, value: str | tuple[str, ...]) -> str:
    if not isinstance(value, str):
        return _SEMICOLON.join(map(_ESCAPER.escape, value))
    return _FREE_ESCAPER.escape(value) if field.kind == "text" else _ESCAPER.escape(value)


def _read_value(name: str, field: RecordField, body: str, start: int, items: list[ParsedItem], problems: list[Problem]) -> None:
    """Append the items of one line's body, which begins at `start` in the completion."""
    escaper = _FREE_ESCAPER if field.kind == "text" else _ESCAPER
    pieces = _ESCAPER.split(body, _SEMICOLON) if field.kind == "verbatim" else [(0, body)]
    for offset, piece in pieces:
        value = escaper.unescape(piece)
        if not value:
            problems.append(make_problem(ProblemKind.UNPARSEABLE, piece))
        elif field.kind == "enum" and value not in field.of:
            problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, value))
        else:
            items.append(ParsedItem(name, value, start + offset, start + offset + len(piece)))
