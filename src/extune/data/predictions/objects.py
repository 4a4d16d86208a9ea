"""JSON rows of other tools become answer rows.

In: a JSON value per row. Out: `AnswerRow`. Five shapes, told apart by their keys:

* spans: `{"text", "entities": [{"start", "end", "type"}], "ungrounded": [{"type", "text"}]}`; `spans`, `label`, `labels`,
  `prediction`, `output` and `result` are read like `entities`, `label` like `type`; an entity may be `[start, end, type]`
  (doccano), and by type `{"mention": [[start, last]]}` (CLUENER).
* strings by type: `{"entities": {"药": ["黄芪"]}}`, or the types directly beside `id` and `text`.
* UIE: the same with objects `{"text", "start", "end"}`; the list of one object around a row is taken off, `relations` are not
  read but counted.
* LangExtract: `{"document_id", "text", "extractions": [{"extraction_class", "extraction_text", "char_interval"}]}`. An interval
  is taken as it is; an extraction without one is searched.
* LLaMA-Factory's `{"prompt", "label", "predict"}` holds text and is read in `answers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extune.data.predictions.rows import AnswerRow, Piece, make_piece, split_pieces
from extune.domain.annotation import Mention
from extune.domain.prediction import Problem, ProblemKind
from extune.prompts.formats.base import make_problem

CONTAINERS = ("entities", "spans", "label", "labels", "prediction", "output", "result")
_TEXTS = ("text", "content", "sentence")
_IDS = ("id", "document_id")
_UNGROUNDED = "ungrounded"


def unwrap(value: object) -> object:
    """The one object of a list of one, which is how UIE gives the answer to one text."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def name_shape(row: Mapping[str, Any]) -> str:
    """The name of the shape, for notes and errors."""
    if "predict" in row:
        return "LLaMA-Factory"
    if "extractions" in row:
        return "LangExtract"
    value = _answer_of(row)
    if not isinstance(value, Mapping):
        return "spans"
    members = [member for group in value.values() if isinstance(group, list) for member in group]
    return "UIE" if members and all(isinstance(member, Mapping) for member in members) else "strings by type"


def read_object(line: int, value: object) -> AnswerRow:
    """Read one JSON value; what it should not be becomes a problem."""
    row = unwrap(value)
    if not isinstance(row, Mapping):
        return unreadable(line, str(value))
    if "extractions" in row:
        members = row["extractions"] if isinstance(row["extractions"], list) else [row["extractions"]]
        found = [_read_extraction(member) for member in members]
    else:
        found = read_answer(_answer_of(row))
    pieces, problems = split_pieces(found)
    lacking, unread = _read_ungrounded(row.get(_UNGROUNDED))
    return AnswerRow(line, _id_of(row), _text_of(row), pieces, (*problems, *unread), ungrounded=lacking)


def read_answer(answer: object) -> list[Piece | Problem]:
    """Read spans in a list, or strings or objects by type."""
    if isinstance(answer, Mapping):
        groups = [(name, _members_of(members)) for name, members in answer.items()]
        return [make_piece(member, name) for name, members in groups for member in members if member is not None]
    if isinstance(answer, list):
        return [make_piece(member) for member in answer]
    return [] if answer is None else [make_problem(ProblemKind.UNPARSEABLE, str(answer))]


def _members_of(members: object) -> list[Any]:
    """The mentions of one type: a list, a single one, or CLUENER's `{"mention": [[start, last], ...]}`."""
    if isinstance(members, Mapping) and members and all(_are_places(places) for places in members.values()):
        return [{"text": text, "start": start, "end": last + 1} for text, places in members.items() for start, last in places]
    return members if isinstance(members, list) else [members]


def _are_places(places: object) -> bool:
    return isinstance(places, list) and all(
        isinstance(place, list) and [type(part) for part in place] == [int, int] for place in places
    )


def count_relations(value: object) -> int:
    """Mentions of a UIE row that carry relations."""
    row = unwrap(value)
    answer = _answer_of(row) if isinstance(row, Mapping) else None
    groups = answer.values() if isinstance(answer, Mapping) else ()
    members = [member for group in groups if isinstance(group, list) for member in group]
    return sum(isinstance(member, Mapping) and "relations" in member for member in members)


def unreadable(line: int, content: str) -> AnswerRow:
    """A row of which nothing could be read."""
    return AnswerRow(line, problems=(make_problem(ProblemKind.UNPARSEABLE, content),), readable=False)


def _answer_of(row: Mapping[str, Any]) -> object:
    """What stands under the first container, or all groups beside id and text."""
    for key in CONTAINERS:
        if key in row:
            return row[key]
    return {key: value for key, value in row.items() if key not in (*_IDS, *_TEXTS, _UNGROUNDED)}


def _read_ungrounded(value: object) -> tuple[tuple[Mention, ...], tuple[Problem, ...]]:
    """The mentions that a row lists as not in its text, and what was none."""
    members = value if isinstance(value, list) else [] if value is None else [value]
    pieces, problems = split_pieces([make_piece(member) for member in members])
    mentions = [Mention(piece.type, piece.text) for piece in pieces if piece.text]
    unread = [make_problem(ProblemKind.UNPARSEABLE, f"{piece.type} without text") for piece in pieces if not piece.text]
    return tuple(mentions), (*problems, *unread)


def _read_extraction(value: object) -> Piece | Problem:
    if not isinstance(value, Mapping):
        return make_problem(ProblemKind.UNPARSEABLE, str(value))
    interval = value.get("char_interval") or {}
    start, end = interval.get("start_pos"), interval.get("end_pos")
    if type(start) is int and type(end) is int:
        # The interval is the tool's answer: where it aligned fuzzily, the text beside it is the model's wording.
        return make_piece({"start": start, "end": end}, value.get("extraction_class"))
    return make_piece({"text": value.get("extraction_text")}, value.get("extraction_class"))


def _text_of(row: Mapping[str, Any]) -> str | None:
    return next((row[key] for key in _TEXTS if isinstance(row.get(key), str)), None)


def _id_of(row: Mapping[str, Any]) -> str | None:
    found = next((row[key] for key in _IDS if isinstance(row.get(key), str | int)), None)
    return None if found is None else str(found)
