r"""`inline`: the text itself with `[内容|类型]` around every span; nothing found is the bare text.

Spans nest, also two types on one range; crossing spans cannot be written. `[`, `]`, `|` and `\` of text and names are
escaped with `\`; newlines stay. Positions are exact as long as the model copies the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from extune.domain.annotation import Extraction, Span
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_literal
from extune.prompts.shape import Literal, Pieces, Rest, Shape, State, enter

GRAMMAR_DEPTH = 6
_ESCAPER = Escaper("[]|", keep_newline=True)
_CLOSING = re.compile(r"\|((?:\\[\[\]|\\]|[^\[\]|\\])+)\]")
_DESCRIPTION = {
    "zh": "照抄全文，把每处内容写作 [内容|类型]，可以嵌套",
    "en": "Copy the whole text and write each piece of content as [content|type]; pieces may nest",
}


class InlineFormat:
    """The text with marked spans. Holds nested spans with their positions; refuses crossing ones."""

    name = "inline"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return _DESCRIPTION[language]

    def find_unrepresentable(self, task: ExtractionTask, text: str, gold: Extraction) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        open_spans: list[Span] = []
        for span in gold.spans:
            while open_spans and open_spans[-1].end <= span.start:
                open_spans.pop()
            if open_spans and open_spans[-1].end < span.end:
                outer = open_spans[-1]
                return f"spans [{outer.start}, {outer.end}) and [{span.start}, {span.end}) cross"
            open_spans.append(span)
        return find_foreign(task, text, gold)

    def render_target(self, task: ExtractionTask, text: str, gold: Extraction) -> str:
        """The answer to learn."""
        pieces: list[str] = []
        open_spans: list[Span] = []
        place = 0

        def copy_until(end: int) -> None:
            nonlocal place
            pieces.append(_ESCAPER.escape(text[place:end]))
            place = end

        def close_until(start: int) -> None:
            while open_spans and open_spans[-1].end <= start:
                span = open_spans.pop()
                copy_until(span.end)
                pieces.append(f"|{_ESCAPER.escape(span.type)}]")

        for span in gold.spans:
            close_until(span.start)
            copy_until(span.start)
            pieces.append("[")
            open_spans.append(span)
        close_until(len(text))
        copy_until(len(text))
        return "".join(pieces)

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. Items have positions where the unmarked completion is the text."""
        reader = _Reader(completion)
        reader.read()
        plain = "".join(reader.plain)
        problems = reader.problems
        positioned = plain == text
        if not positioned:
            problems.append(Problem(ProblemKind.UNPARSEABLE, "text changed"))
        items: list[ParsedItem] = []
        for name, start, end, completion_start, completion_end, type_end in sorted(reader.marks, key=lambda mark: mark[3]):
            if start == end:
                problems.append(make_problem(ProblemKind.UNPARSEABLE, completion[completion_start - 1 :]))
            elif name not in task.types:
                problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
            else:
                source_start = start if positioned else None
                items.append(ParsedItem(name, plain[start:end], completion_start, completion_end, source_start, type_end))
        return Parsed(tuple(items), tuple(problems))

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar of the copies of `text` with balanced, non-empty marks that nest at most GRAMMAR_DEPTH deep.

        One terminal: the text with marks anywhere, intersected with all balanced strings. Nothing opens after the last
        character, where it could not be closed any more: the intersection alone would notice too late.
        """
        if not text:
            return 'start: ""\n'
        copied = " ".join(f"MARK* {quote_literal(chunk)}" for chunk in _ESCAPER.chunks(text))
        closings = " | ".join(quote_literal(f"|{_ESCAPER.escape(name)}]") for name in task.names)
        rules = [
            "start: ANSWER",
            "ANSWER: MARKED & BALANCED",
            f"MARKED: {copied} CLOSING*",
            'MARK: "[" | CLOSING',
            f"CLOSING: {closings}",
            f"BALANCED: LEVEL_{GRAMMAR_DEPTH}+",
            r"LEVEL_0: /(?s:\\[\[\]\|\\]|[^\[\]\|\\])/",
        ]
        rules += [f'LEVEL_{depth}: LEVEL_0 | "[" LEVEL_{depth - 1}+ CLOSING' for depth in range(1, GRAMMAR_DEPTH + 1)]
        return "\n".join(rules) + "\n"

    def build_shape(self, task: ExtractionTask, text: str) -> Shape:
        """The text with marks; an answer that ends soon opens no further ones."""
        chunks = tuple(chunk.encode() for chunk in _ESCAPER.chunks(text))
        closings = tuple(f"|{_ESCAPER.escape(name)}]".encode() for name in task.names)
        return Shape(_Marked(chunks, closings))


@dataclass(frozen=True, slots=True)
class _Marked:
    """The text from `place` on, with marks.

    Attributes:
        chunks: one escaped character each.
        closings: what may stand at the end of a mark.
        place: of the next chunk.
        opened: where each open mark begins.
    """

    chunks: tuple[bytes, ...]
    closings: tuple[bytes, ...]
    place: int = 0
    opened: tuple[int, ...] = ()

    @property
    def reserve(self) -> int:
        """The whole text, and the end of as many marks as may be open."""
        return sum(map(len, self.chunks)) + (GRAMMAR_DEPTH + 1) * max(map(len, self.closings))

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Before the next character, mark, or the end."""
        if self.place < len(self.chunks):
            yield from self._write(self.chunks[self.place], replace(self, place=self.place + 1), rest, pieces)
            if len(self.opened) < GRAMMAR_DEPTH:
                yield from self._write(b"[", replace(self, opened=(*self.opened, self.place)), rest, pieces)
        elif not self.opened:
            yield from enter(rest, pieces)
        if self.opened and self.opened[-1] < self.place:
            for closing in self.closings:
                yield from self._write(closing, replace(self, opened=self.opened[:-1]), rest, pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces]:
        """Marks are closed, one without content behind the next character, and the rest of the text is copied."""
        empty = bool(self.opened) and self.opened[-1] == self.place
        behind = self.place + empty
        closings = min(self.closings, key=len) * len(self.opened)
        return b"".join((*self.chunks[self.place : behind], closings, *self.chunks[behind:])), pieces

    @staticmethod
    def _write(text: bytes, then: _Marked, rest: Rest, pieces: Pieces) -> Iterator[State]:
        return Literal(text).begin((then, rest), pieces)


class _Reader:
    """Takes a completion apart into the plain text and the marks in it."""

    def __init__(self, completion: str) -> None:
        self._completion = completion
        self._open: list[tuple[int, int]] = []  # where each open mark begins: in the plain text, in the completion
        self.plain: list[str] = []
        # type; start and end in the plain text; start, end and end of the type in the completion
        self.marks: list[tuple[str, int, int, int, int, int]] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        """Read the whole completion. A bare `|`, `]` or backslash that means nothing is a problem and taken literally."""
        place = 0
        while place < len(self._completion):
            place = self._read_at(place)
        for _, completion_start in self._open:
            self._report(completion_start - 1)

    def _read_at(self, place: int) -> int:
        """Read one character, escape or mark; return where the next begins."""
        character = self._completion[place]
        if character == "[":
            self._open.append((len(self.plain), place + 1))
            return place + 1
        if character == "|" and self._open and (closing := _CLOSING.match(self._completion, place)):
            start, completion_start = self._open.pop()
            name = _ESCAPER.unescape(closing.group(1)) or ""
            self.marks.append((name, start, len(self.plain), completion_start, place, closing.end() - 1))
            return closing.end()
        token = self._completion[place : place + 2]
        if character == "\\" and (escaped := _ESCAPER.unescape(token)) and len(token) == 2:
            self.plain.append(escaped)
            return place + 2
        if character in "|]\\":
            self._report(place)
        self.plain.append(character)
        return place + 1

    def _report(self, place: int) -> None:
        self.problems.append(make_problem(ProblemKind.UNPARSEABLE, self._completion[place:]))
