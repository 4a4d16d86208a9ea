"""Conversations: sharegpt (`from`, `value`) and messages (`role`, `content`) lists of turns.

In: a list of turns. Out: for generation, questions with their answers; for the other tasks, the turns as one text. It knows
nothing about files and annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from extune.data.readers.base import RowError, quote, require_text
from extune.data.readers.columns import TurnKeys
from extune.data.readers.loose_json import parse_loose_json
from extune.domain.example import Source

_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")
_ROLES = {
    "user": ("user", "human"),
    "assistant": ("assistant", "gpt", "bot", "model"),
    "system": ("system",),
}
_SHAPE = '[{"role": "user", "content": "..."}, ...] or [{"from": "human", "value": "..."}, ...]'


class Turn(NamedTuple):
    """What one side said; `role` is user, assistant, system, or as the file calls it."""

    role: str
    name: str
    content: str


class Conversation(NamedTuple):
    """Questions with their answers, in order.

    Attributes:
        system: what the system turns say; empty where there are none.
        pairs: questions and answers; turns of one side in a row are one, joined by a line end.
        rest: a question at the end that nobody answered; empty where there is none.
    """

    system: str
    pairs: tuple[tuple[str, str], ...]
    rest: str


def parse_turns(value: object, keys: TurnKeys, source: Source) -> list[Turn]:
    """The turns of a list, also of JSON in a string, or a RowError."""
    if isinstance(value, str):
        found = parse_loose_json(value)
        value = found.value if found is not None else value
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        raise RowError("the turns are no list of objects", source=source, expected=_SHAPE, fix="correct the row")
    return [_parse_turn(index, turn, keys, source) for index, turn in enumerate(value, 1)]


def read_conversation(turns: Sequence[Turn], source: Source) -> Conversation:
    """Questions and answers of turns between a user and an assistant, or a RowError."""
    system: list[str] = []
    pairs: list[tuple[str, str]] = []
    questions: list[str] = []
    for index, turn in enumerate(turns, 1):
        if turn.role == "system":
            system.append(turn.content)
        elif turn.role == "user":
            questions.append(turn.content)
        elif turn.role != "assistant":
            raise RowError(
                f"turn {index} is by {quote(turn.name)}",
                source=source,
                expected="turns of user (human), assistant (gpt) and system",
                fix="leave such conversations out with data.on_bad_row=skip, or name the roles in dataset_info.json",
            )
        elif questions:
            pairs.append(("\n".join(questions), turn.content))
            questions = []
        elif pairs:
            question, answer = pairs.pop()
            pairs.append((question, f"{answer}\n{turn.content}"))
        else:
            raise RowError(
                "the conversation begins with an answer",
                source=source,
                expected="a turn of the user first",
                fix="remove the first turn, or data.on_bad_row=skip leaves such rows out and counts them",
            )
    return Conversation("\n".join(system), tuple(pairs), "\n".join(questions))


def join_turns(turns: Sequence[Turn]) -> str:
    """One text: a single turn as it stands, several as lines `name: content`."""
    if len(turns) == 1:
        return turns[0].content
    return "\n".join(f"{turn.name}: {turn.content}" for turn in turns)


def _parse_turn(index: int, turn: dict[str, object], keys: TurnKeys, source: Source) -> Turn:
    name = _take(turn, (keys.role,) if keys.role else _ROLE_KEYS)
    content = _take(turn, (keys.content,) if keys.content else _CONTENT_KEYS)
    if not isinstance(name, str) or not isinstance(content, str):
        missing = "role" if not isinstance(name, str) else "content"
        raise RowError(
            f"turn {index} has no {missing}; there are: {', '.join(map(quote, turn)) or 'none'}",
            source=source,
            expected=_SHAPE,
            fix="correct the turn",
        )
    chosen = {"user": keys.user, "assistant": keys.assistant, "system": keys.system}
    for role, usual in _ROLES.items():
        if name in ((chosen[role],) if chosen[role] else usual):
            return Turn(role, name, require_text(content, source))
    return Turn(name, name, require_text(content, source))


def _take(turn: dict[str, object], names: Sequence[str]) -> object:
    return next((turn[name] for name in names if name in turn), None)
