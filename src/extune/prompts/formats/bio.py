r"""`bio`: one tag per character, `O B-中药 I-中药`, with single spaces between; nothing found is only `O`.

Flat spans only. Space, newline and `\` inside type names are escaped with `\`. Positions are exact as long as the model
counts right.
"""

from __future__ import annotations

from extune.domain.annotation import Extraction
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ExtractionTask
from extune.prompts.formats.base import Parsed, ParsedItem, find_foreign, make_problem
from extune.prompts.formats.escape import Escaper
from extune.prompts.grammar import quote_regex

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
