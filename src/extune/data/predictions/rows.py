"""What every file of predictions comes down to: rows of pieces, which a text turns into spans.

In: pieces as a tool wrote them. Out: an extraction and problems: nothing is dropped, and nothing wrong stops the reading. It
knows no file format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Extraction, Mention
from extune.domain.prediction import Problem, ProblemKind
from extune.prompts.alignment import align
from extune.prompts.formats.base import ParsedItem, make_problem


@dataclass(frozen=True)
class Piece:
    """One predicted mention.

    Attributes:
        type: its type name.
        text: as the tool wrote it; None where it gave offsets only.
        start: in characters, None where the tool gave none.
        end: exclusive; only looked at where `text` is None.
    """

    type: str
    text: str | None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class AnswerRow:
    """The answer to one text.

    Attributes:
        line: 1-based line, or number of the row in a JSON array.
        id: that the row names; None where it names none.
        text: that the row repeats; None where it does not.
        pieces: what was predicted.
        problems: what could not be read.
        completion: what the model wrote, where the row has it.
        ungrounded: mentions that the tool says have no place in the text; they are not searched.
        readable: False where not even the row could be read; it then has no id and no text.
    """

    line: int
    id: str | None = None
    text: str | None = None
    pieces: tuple[Piece, ...] = ()
    problems: tuple[Problem, ...] = ()
    completion: str = ""
    ungrounded: tuple[Mention, ...] = ()
    readable: bool = True


@dataclass(frozen=True)
class Grounded:
    """The annotation that a row gives a text; `moved` counts pieces that did not stand where their offsets said."""

    annotation: Extraction
    problems: tuple[Problem, ...]
    moved: int


def ground(row: AnswerRow, text: str, names: Sequence[str] | None) -> Grounded:
    """Give every piece of a row its place in `text`.

    A piece with offsets stays there where the text agrees; the others are put back by `prompts.alignment`.

    Args:
        row: of a file.
        text: of the gold example that the row answers.
        names: allowed types; None allows all.
    """
    problems = list(row.problems)
    items: list[ParsedItem] = []
    for piece in row.pieces:
        if names is not None and piece.type not in names:
            problems.append(make_problem(ProblemKind.UNKNOWN_TYPE, piece.type))
        elif piece.text is not None:
            items.append(ParsedItem(piece.type, piece.text, 0, 0, piece.start))
        elif piece.start is not None and piece.end is not None and 0 <= piece.start < piece.end <= len(text):
            items.append(ParsedItem(piece.type, text[piece.start : piece.end], 0, 0, piece.start))
        else:
            place = f"{piece.type} [{piece.start}, {piece.end}) in {len(text)} characters"
            problems.append(make_problem(ProblemKind.UNPARSEABLE, place))
    alignment = align(text, items)
    for kind, numbers in ((ProblemKind.UNGROUNDED, alignment.ungrounded), (ProblemKind.DUPLICATE, alignment.duplicates)):
        problems += [make_problem(kind, items[number].text) for number in numbers]
    ungrounded = [Mention(items[number].type, items[number].text) for number in alignment.ungrounded]
    for mention in row.ungrounded:
        is_known = names is None or mention.type in names
        problems.append(
            make_problem(ProblemKind.UNGROUNDED, mention.text)
            if is_known
            else make_problem(ProblemKind.UNKNOWN_TYPE, mention.type)
        )
        ungrounded += [mention] if is_known else []
    moved = sum(items[number].source_start not in (None, span.start) for number, span in alignment.placed)
    return Grounded(Extraction(tuple(span for _, span in alignment.placed), tuple(ungrounded)), tuple(problems), moved)


def make_piece(value: object, name: object = None) -> Piece | Problem:
    """A piece from what JSON holds: an object, a string with its type `name`, or a list `[start, end, type]`.

    An object has `type` or `label`, and `text` or `entity`, or `start` and `end`, or all of them. doccano calls the offsets
    `start_offset` and `end_offset`, CMeEE `start_idx` and `end_idx` (inclusive).
    """
    if isinstance(value, str):
        value = {"text": value}
    elif isinstance(value, list) and len(value) == 3:
        value = dict(zip(("start", "end", "type"), value, strict=True))
    if not isinstance(value, Mapping):
        return make_problem(ProblemKind.UNPARSEABLE, str(value))
    kind = name if name is not None else value.get("type", value.get("label"))
    text = value.get("text", value.get("entity"))
    start, end = _offsets_of(value)
    has_place = type(start) is int and type(end) is int
    if not isinstance(kind, str) or not kind or not (has_place if text is None else isinstance(text, str) and text):
        return make_problem(ProblemKind.UNPARSEABLE, str(dict(value)))
    return Piece(kind, text, start if has_place else None, end if has_place else None)


def _offsets_of(value: Mapping[str, Any]) -> tuple[Any, Any]:
    """Start and exclusive end, whatever they are called, and whatever they are."""
    if "start_idx" in value:
        last = value.get("end_idx")
        return value["start_idx"], last + 1 if type(last) is int else last
    return value.get("start", value.get("start_offset")), value.get("end", value.get("end_offset"))


def split_pieces(found: Sequence[Piece | Problem]) -> tuple[tuple[Piece, ...], tuple[Problem, ...]]:
    """The pieces, and what was none."""
    return tuple(one for one in found if isinstance(one, Piece)), tuple(one for one in found if isinstance(one, Problem))
