"""What gold and predictions both are: spans, fields, labels or an answer.

Offsets are half-open character intervals `[start, end)` counted in Unicode code points.
It knows nothing about files, prompts or scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, order=True)
class Mention:
    """A typed piece of text as a model writes it, without position."""

    type: str
    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError(f"a mention of type {self.type!r} is empty")


@dataclass(frozen=True)
class Span:
    """A mention grounded in a text: `text[start:end] == span.text`.

    `confidence` is a probability in [0, 1], or None where it was not computed; it does not take part in equality.
    """

    type: str
    text: str
    start: int
    end: int
    confidence: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"span [{self.start}, {self.end}) of type {self.type!r} is empty or negative")
        if self.end - self.start != len(self.text):
            raise ValueError(
                f"span [{self.start}, {self.end}) of type {self.type!r} has {self.end - self.start} characters, "
                f"its text {self.text!r} has {len(self.text)}"
            )

    @property
    def key(self) -> tuple[int, int, str]:
        """Start, end and type: what the strict score compares."""
        return self.start, self.end, self.type

    def overlaps(self, other: Span) -> bool:
        """True where the two share at least one character."""
        return self.start < other.end and other.start < self.end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and self.key == other.key and self.text == other.text

    def __hash__(self) -> int:
        return hash((self.key, self.text))


@dataclass(frozen=True)
class Extraction:
    """Spans in text order (start, then the longer first, then type), each at most once, and mentions that were not found."""

    spans: tuple[Span, ...] = ()
    ungrounded: tuple[Mention, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.spans, key=lambda span: (span.start, -span.end, span.type)))
        for left, right in pairwise(ordered):
            if left.key == right.key:
                raise ValueError(f"span [{left.start}, {left.end}) of type {left.type!r} stands twice")
        object.__setattr__(self, "spans", ordered)
        object.__setattr__(self, "ungrounded", tuple(self.ungrounded))


@dataclass(frozen=True)
class Fields:
    """Values of a record: a string for enum and text fields, a tuple of strings for verbatim lists.

    `confidences` has one number per piece of a list, one for any other value, None where it was not computed; a field that it
    lacks has none. Like a span's, they do not take part in equality.
    """

    values: Mapping[str, str | tuple[str, ...]]
    confidences: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict, compare=False)

    def items(self) -> Iterator[tuple[str, str, float | None]]:
        """Every value and every piece of a list: field, text, confidence."""
        for name, value in self.values.items():
            pieces = (value,) if isinstance(value, str) else value
            confidences = self.confidences.get(name, (None,) * len(pieces))
            yield from ((name, piece, confidence) for piece, confidence in zip(pieces, confidences, strict=True))


@dataclass(frozen=True)
class Labels:
    """Chosen label names; one for single-label tasks, any number for multi-label ones.

    `confidences` has one number per name, or none at all; they do not take part in equality.
    """

    names: tuple[str, ...]
    confidences: tuple[float | None, ...] = field(default=(), compare=False)

    def items(self) -> Iterator[tuple[str, float | None]]:
        """Every name with its confidence."""
        return zip(self.names, self.confidences or (None,) * len(self.names), strict=True)


@dataclass(frozen=True)
class Answer:
    """A free answer."""

    text: str


Annotation = Extraction | Fields | Labels | Answer


def find_repeat(pieces: Sequence[str]) -> str | None:
    """The first piece that stands before, or None."""
    return next((piece for number, piece in enumerate(pieces) if piece in pieces[:number]), None)
