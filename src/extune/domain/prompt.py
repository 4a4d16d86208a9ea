"""Messages, and messages together with their token ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One chat turn."""

    role: Role
    content: str


class Writing(Protocol):
    """An answer so far, as bytes: what the grammar does not say about it. It never changes."""

    @property
    def in_free_text(self) -> bool:
        """Free text of one line is being written, of which nothing need be watched but its end."""

    @property
    def circling(self) -> bool:
        """That free text runs in a circle: it may only end."""

    def after(self, written: bytes) -> Writing | None:
        """The answer with more bytes that the grammar allows; None where it could not become whole any more."""

    def may_end(self) -> bool:
        """Whether it is whole."""

    def closing(self) -> bytes:
        """The shortest bytes that make it whole."""


class AnswerShape(Protocol):
    """The answers to one prompt; `prompts/shape.py` has the one that there is."""

    @property
    def reserve(self) -> int | None:
        """Bytes that suffice to end an answer from anywhere; None where answers must be watched from their beginning."""

    def begin(self) -> Writing:
        """An answer without a byte."""


@dataclass(frozen=True)
class Prompt:
    """What an engine gets: the messages of one example, or of one window of it, and their ids.

    Attributes:
        example_id: the example this prompt asks about.
        messages: for engines whose server renders.
        ids: token ids ending with the generation prompt; the one rendering that training used too.
        text: the (window of the) text that is asked about.
        offset: where `text` begins in the example's text, in characters.
        grammar: llguidance grammar of the allowed completions, or None where they are unconstrained.
        shape: the same completions in parts, for engines that can close an answer; None where they are unconstrained.
    """

    example_id: str
    messages: tuple[Message, ...]
    ids: tuple[int, ...]
    text: str
    offset: int = 0
    grammar: str | None = None
    shape: AnswerShape | None = field(default=None, compare=False, repr=False)
