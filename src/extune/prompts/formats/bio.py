r"""`bio`: one tag per character, `O B-中药 I-中药`, with single spaces between; nothing found is only `O`.

Flat spans only. Space, newline and `\` inside type names are escaped with `\`. Positions are exact as long as the model
counts right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_regex
from extune.prompts.shape import Pieces, Rest, Shape, State, enter, literal

COUNTED_CHARACTERS = 4000  # llguidance's default fuel does not suffice to count 8,000 tags
_SPACE = " "
_ESCAPER = Escaper(_SPACE)
_DESCRIPTION = {
    "zh": "逐字标注，用空格隔开：开头写 B-类型，其余写 I-类型，不属于任何类型写 O",
    "en": "Tag every character, separated by spaces: B-type begins a piece, I-type continues it, O is outside",
}


class BioFormat:
    """A tag per character. Holds flat spans with their positions; refuses overlapping ones."""

    name = "bio"
    version = 1

    def describe(self, language: str) -> str:
        """The line of the prompt that tells the model the syntax."""
        return _DESCRIPTION[language]

    def find_unrepresentable(self, task: ExtractionTask, text: str, gold: Extraction) -> str | None:
        """Why this format cannot hold `gold`, or None where it can."""
        for left, right in zip(gold.spans, gold.spans[1:], strict=False):
            if left.overlaps(right):
                return f"spans [{left.start}, {left.end}) and [{right.start}, {right.end}) overlap"
        return find_foreign(task, text, gold)

    def render_target(self, task: ExtractionTask, text: str, gold: Extraction) -> str:
        """The answer to learn."""
        tags = ["O"] * len(text)
        for span in gold.spans:
            name = _ESCAPER.escape(span.type)
            tags[span.start : span.end] = [f"B-{name}"] + [f"I-{name}"] * (span.end - span.start - 1)
        return _SPACE.join(tags)

    def parse_completion(self, task: ExtractionTask, text: str, completion: str) -> Parsed:
        """Read any string; never raises. Tags beyond the text are ignored, missing ones count as `O`.

        An `I-` that continues nothing begins a span, as in the CoNLL scorer, and is a problem.
        """
        reader = _Reader(task, text)
        tags = _ESCAPER.split(completion, _SPACE) if completion else []
        if len(tags) != len(text):
            reader.problems.append(Problem(ProblemKind.UNPARSEABLE, f"{len(tags)} tags for {len(text)} characters"))
        for position, (start, tag) in enumerate(tags[: len(text)]):
            reader.read_tag(position, start, tag)
        reader.close()
        return Parsed(tuple(reader.items), tuple(reader.problems))

    def render_grammar(self, task: ExtractionTask, text: str) -> str:
        """Grammar of valid tag sequences, as long as the text where that is at most COUNTED_CHARACTERS long.

        One terminal: valid transitions, intersected with the right number of tags.
        """
        if not text:
            return 'start: ""\n'
        names = [quote_regex(_ESCAPER.escape(name)) for name in task.names]
        unit = "|".join(["O", *(f"B-{name}(?: I-{name})*" for name in names)])
        rules = ["start: TAGS", f"VALID: /(?:{unit})(?: (?:{unit}))*/"]
        if len(text) > COUNTED_CHARACTERS:
            return "\n".join([*rules, "TAGS: VALID"]) + "\n"
        tag = r"(?:\\.|[^ \\])+"
        rules += ["TAGS: VALID & COUNTED", f"COUNTED: /(?s:{tag}(?: {tag}){{{len(text) - 1}}})/"]
        return "\n".join(rules) + "\n"

    def build_shape(self, task: ExtractionTask, text: str) -> Shape:
        """A tag for every character; an answer that ends soon tags what is left as `O`."""
        names = tuple(_ESCAPER.escape(name) for name in task.names)
        return Shape(_Tags(names, len(text)) if text else literal(""))


@dataclass(frozen=True, slots=True)
class _Tags:
    """The tags of the last `left` characters.

    Attributes:
        names: of the types, escaped.
        continued: of the type of the tag before, empty for `O`.
        others: a tag stands already, what comes is a separator or the end.
    """

    names: tuple[str, ...]
    left: int
    continued: str = ""
    others: bool = False

    @property
    def reserve(self) -> int | None:
        """A tag of the longest name, then `O` for every character; None where the grammar does not count them."""
        if self.left > COUNTED_CHARACTERS:
            return None
        return len("B-") + max(len(name.encode()) for name in self.names) + 2 * self.left

    def begin(self, rest: Rest, pieces: Pieces) -> Iterator[State]:
        """Before a tag; or behind one."""
        if not self.others:
            yield from literal("O").begin((_Tags(self.names, self.left - 1, others=True), rest), pieces)
            for name in self.names:
                behind = _Tags(self.names, self.left - 1, name, others=True)
                yield from literal(f"B-{name}").begin((behind, rest), pieces)
                if name == self.continued:
                    yield from literal(f"I-{name}").begin((behind, rest), pieces)
            return
        if self.left:
            yield from literal(_SPACE).begin((_Tags(self.names, self.left, self.continued), rest), pieces)
        else:
            yield from enter(rest, pieces)

    def finish(self, pieces: Pieces) -> tuple[bytes, Pieces]:
        """`O` for every character that is left."""
        return (b" O" * self.left)[0 if self.others else len(_SPACE) :], pieces


class _Reader:
    """Collects spans tag by tag."""

    def __init__(self, task: ExtractionTask, text: str) -> None:
        self._task = task
        self._text = text
        self._open: tuple[str, int, int] | None = None  # type; start in the text, in the completion
        self._end = (0, 0)  # behind the last tag of the open span: in the text, in the completion
        self.items: list[ParsedItem] = []
        self.problems: list[Problem] = []

    def read_tag(self, position: int, start: int, tag: str) -> None:
        """Read the tag of the character at `position`; it begins at `start` in the completion."""
        prefix, name = tag[:2], _ESCAPER.unescape(tag[2:])
        continues = prefix == "I-" and self._open is not None and self._open[0] == name
        if not continues:
            self.close()
            if tag == "O":
                return
            if prefix != "B-" or not name:
                self.problems.append(make_problem(ProblemKind.UNPARSEABLE, tag))
            if prefix not in ("B-", "I-") or not name:
                return
            self._open = (name, position, start)
        self._end = (position + 1, start + len(tag))

    def close(self) -> None:
        """The open span, if any, ends before this tag."""
        if self._open is None:
            return
        (name, start, completion_start), (end, completion_end) = self._open, self._end
        self._open = None
        if name in self._task.types:
            self.items.append(ParsedItem(name, self._text[start:end], completion_start, completion_end, start))
        else:
            self.problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, name))
