"""Messages, and messages together with their token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One chat turn."""

    role: Role
    content: str


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
    """

    example_id: str
    messages: tuple[Message, ...]
    ids: tuple[int, ...]
    text: str
    offset: int = 0
    grammar: str | None = None
