"""What all readers share: the rows they give, the error of a wrong row, and checks of a text and of a type.

It knows nothing about any file format.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from extune.data.readers.tally import Tally
from extune.domain.example import Example, Source
from extune.errors import DataError

_QUOTED_CHARACTERS = 20
_SURROGATE = re.compile("[\ud800-\udfff]")


class RowError(DataError):
    """One wrong row. Readers return it in the row's place; who asked decides whether it stops the reading.

    `code` is the data doctor's name of the mistake, `subject` the type name that it is about, if it is about one.
    """

    def __init__(
        self, what: str, *, source: Source, expected: str = "", fix: str = "", code: str = "bad-row", subject: str = ""
    ) -> None:
        super().__init__(what, where=str(source), expected=expected, fix=fix)
        self.line, self.code, self.subject = source.line, code, subject


Row = Example | RowError
Lines = Callable[[], Iterator[tuple[int, str]]]  # the numbered lines of a file from its beginning, at each call


@dataclass(frozen=True)
class SkippedRow:
    """A wrong row that was left out: the 1-based line of the mistake, the mistake, and `code` and `subject` of its RowError."""

    line: int
    reason: str
    code: str = "bad-row"
    subject: str = ""


@dataclass(frozen=True)
class ReadResult:
    """Everything a file gave.

    Attributes:
        examples: in file order.
        skipped: wrong rows, in file order; empty unless `on_bad_row` is `skip`.
        encoding: the codec that the file was read with.
        notes: what the reader found or decided and a user may want to know, one sentence each.
        groups: which examples must stay in one split, by id; examples without entry stand for themselves.
        losses: what a file of another tool says and examples cannot hold; it stands in the notes too.
    """

    examples: tuple[Example, ...]
    skipped: tuple[SkippedRow, ...]
    encoding: str
    notes: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    losses: Tally = field(default_factory=Tally)

    def __iter__(self) -> Iterator[Example]:
        """The examples."""
        return iter(self.examples)


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """1-based lines without their end. Only LF and CRLF end a line: U+2028 and its like belong to the text."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        yield number, line.removesuffix("\r")


def quote(text: str) -> str:
    """The text in quotation marks, cut to a few characters: messages never carry whole medical texts."""
    return repr(text) if len(text) <= _QUOTED_CHARACTERS else repr(text[:_QUOTED_CHARACTERS]) + "…"


def require_text(value: object, source: Source) -> str:
    """`value` where it is a string of whole characters, else a RowError."""
    if not isinstance(value, str):
        raise RowError(
            f'"text" is of type {type(value).__name__}',
            source=source,
            expected="a string",
            fix='write the text as a JSON string under the key "text"',
        )
    half = _SURROGATE.search(value)
    if half:
        raise RowError(
            f"character {half.start()} of the text is half of a surrogate pair ({half[0]!r})",
            source=source,
            expected="Unicode text",
            fix="export the file again; characters such as emoji were torn",
        )
    return value


def require_type(name: str, names: Sequence[str] | None, source: Source) -> None:
    """Raise a RowError where `name` is none of the task's types; `names` None accepts all."""
    if names is None or name in names:
        return
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)  # half of a two-character name
    raise RowError(
        f"unknown type {quote(name)}" + (f", did you mean {close[0]!r}?" if close else ""),
        source=source,
        expected="one of " + ", ".join(names),
        fix="correct the label, or add the type to task.types",
        code="unknown-name",
        subject=name,
    )
