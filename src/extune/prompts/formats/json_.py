"""`json`: one compact object, `{"类型":["a","b"]}`, with the types that occur in the task's order; nothing found is `{}`.

Written as `json.dumps(..., ensure_ascii=False)` with `,` and `:`; read with any white space and any JSON escape.
"""

from __future__ import annotations

import json
import re

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.copies import Copies
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.grammar import quote_literal, write_copy_rules, write_sequence_rules
from extune.prompts.shape import Chain, OneOf, Shape, Subset, literal
from extune.prompts.shape_lists import list_pieces

_STRING = re.compile(r'(?s)"((?:[^"\\]|\\.)*)"')
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DESCRIPTION = {
    "zh": '写作一个 JSON 对象，如 {"类型":["内容","内容"]}，没有则写：{}',
    "en": 'Write one JSON object such as {"type":["content","content"]}, and if there is nothing: {}',
}


class JsonFormat:
    """JSON by type. Holds every set of spans as mentions; positions come back through alignment."""

    name = "json"
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
        mentions = {name: [span.text for span in ordered if span.type == name] for name in task.names}
        return _dump({name: texts for name, texts in mentions.items() if texts})

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. What stands before the first syntax error counts."""
        reader = _Reader(task, completion)
        try:
            reader.read_object()
        except _BadJsonError as problem:
            reader.problems.append(make_problem(ProblemKind.UNPARSEABLE, completion[problem.place :]))
        return Parsed(tuple(reader.items), tuple(reader.problems))

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar of the compact objects with verbatim mentions and types in the task's order."""
        if not text:
            return 'start: "{}"\n'
        rules = ['start: "{}" | "{" entries "}"', *write_sequence_rules("entries", len(task.types), ",")]
        for number, name in enumerate(task.names):
            rules.append(f'part_{number}: {quote_literal(_dump(name) + ":[")} mentions "]"')
        quote = quote_literal('"')
        rules += ['mentions: mention ("," mention)*', f"mention: {quote} MENTION {quote}"]
        return "\n".join([*rules, *write_copy_rules(_escape_each(text))]) + "\n"

    def build_shape(self, task: ExtractionTask, text: str) -> Shape:
        """`{}` or entries; a list has a mention at most as often as the text has it."""
        if not text:
            return Shape(literal("{}"))
        copies = Copies(_escape_each(text), "as often")
        entries = [
            Chain((literal(_dump(name) + ":["), list_pieces(copies, name, ",", quote='"'), literal("]"))) for name in task.names
        ]
        return Shape(OneOf((literal("{}"), Chain((literal("{"), Subset(entries, b","), literal("}"))))))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _escape_each(text: str) -> list[str]:
    """Every character as it stands in a JSON string."""
    return [_dump(character)[1:-1] for character in text]


class _BadJsonError(Exception):
    """The completion is not what it should be from `place` on."""

    def __init__(self, place: int) -> None:
        self.place = place
        super().__init__(place)


class _Reader:
    """Reads `{string: [string, ...], ...}` and keeps the place of every string."""

    def __init__(self, task: ExtractionTask, completion: str) -> None:
        self._task = task
        self._completion = completion
        self._place = 0
        self.items: list[ParsedItem] = []
        self.problems: list[Problem] = []

    def read_object(self) -> None:
        """Read the whole completion."""
        self._expect("{")
        if not self._accept("}"):
            self._read_entry()
            while self._accept(","):
                self._read_entry()
            self._expect("}")
        if self._skip_space() < len(self._completion):
            raise _BadJsonError(self._place)

    def _read_entry(self) -> None:
        """Read `"type":[...]`."""
        name, _, _ = self._read_string()
        known = name in self._task.types
        if not known:
            self.problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, _SURROGATE.sub("\ufffd", name)))
        self._expect(":")
        self._expect("[")
        if self._accept("]"):
            return
        self._read_mention(name, known)
        while self._accept(","):
            self._read_mention(name, known)
        self._expect("]")

    def _read_mention(self, name: str, known: bool) -> None:
        """Read one mention; an empty one and one with half of a surrogate pair are problems, not items."""
        mention, start, end = self._read_string()
        if not mention or _SURROGATE.search(mention):
            self.problems.append(make_problem(ProblemKind.UNPARSEABLE, self._completion[start:end]))
        elif known:
            self.items.append(ParsedItem(name, mention, start, end))

    def _read_string(self) -> tuple[str, int, int]:
        """Read a string: its value and where its contents begin and end. Bare control characters are let through."""
        literal = _STRING.match(self._completion, self._skip_space())
        if literal is None:
            raise _BadJsonError(self._place)
        try:
            value = str(json.loads(literal.group(), strict=False))
        except ValueError:
            raise _BadJsonError(self._place) from None
        self._place = literal.end()
        return value, literal.start(1), literal.end(1)

    def _skip_space(self) -> int:
        match = _SPACE.match(self._completion, self._place)
        self._place = match.end() if match else self._place
        return self._place

    def _accept(self, character: str) -> bool:
        """Step over `character` where it comes next."""
        found = self._completion.startswith(character, self._skip_space())
        self._place += found
        return found

    def _expect(self, character: str) -> None:
        if not self._accept(character):
            raise _BadJsonError(self._place)
