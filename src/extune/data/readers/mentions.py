"""Answers of extraction rows become spans: lists of entities with offsets, mentions by type, or text in an answer format.

In: the value of the answer column and the text. Out: an extraction, every mention of it in the text. A mention that the text
lacks is an error of its row. It knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from extune.data.readers.base import RowError, quote, require_type
from extune.data.readers.columns import RowShape
from extune.data.readers.loose_json import looks_like_json, parse_loose_json
from extune.data.readers.spans import parse_entities
from extune.data.readers.tally import Place
from extune.domain.annotation import Extraction
from extune.domain.example import Source
from extune.domain.prediction import ProblemKind
from extune.domain.task import ExtractionTask
from extune.errors import RecipeError
from extune.prompts.alignment import align
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.prompts.formats.base import AnyFormat, Parsed, ParsedItem

NOT_IN_TEXT = "mention does not occur in its text"
_SHOWN = 3
_FORMATS = {answer_format.name: answer_format for answer_format in EXTRACTION_FORMATS}
_SHAPE = '{"type": ["mention", ...], ...} or [{"type": "...", "text": "..."}, ...]'


def read_mentions(task: ExtractionTask | None, value: object, text: str, shape: RowShape, place: Place) -> Extraction:
    """The spans that an answer names, or a RowError.

    Args:
        task: its types are the allowed ones; None allows all, but reads only lists of entities with offsets.
        value: of the answer column: a list, a mapping or a string; None means nothing.
        text: that offsets count in.
        shape: its `answer_format` is the syntax of strings that are no JSON; its `nothing` mean no entity.
        place: of the row.

    Raises:
        RecipeError: the answer is text and `data.answer_format` is not set.
    """
    names = task.names if task is not None else None
    if isinstance(value, str):
        value = _read_string(task, value, text, shape, place)
    if isinstance(value, list) and value and all(isinstance(one, dict) and "start" in one for one in value):
        return Extraction(parse_entities(value, text, names, place.source))
    items = list(value.items) if isinstance(value, Parsed) else _items_of(value, place.source)
    kept = [item for item in items if item.text and item.text.strip() not in shape.nothing]
    place.tally.add("a mention means nothing and is left out", place.source, len(items) - len(kept))
    for item in kept:
        require_type(item.type, names, place.source)
    return _ground(text, kept, place)


def _read_string(task: ExtractionTask | None, answer: str, text: str, shape: RowShape, place: Place) -> object:
    """Parsed items, or the value of the JSON that the string holds; None where it means nothing."""
    body = answer.replace("\r\n", "\n").strip("\n")
    if body.strip() in ("", *shape.nothing):
        return None
    is_json = shape.answer_format == "json" or (shape.answer_format is None and looks_like_json(body))
    if is_json:
        found = parse_loose_json(body)
        if found is None:
            raise _unparseable(body, "JSON such as " + _SHAPE, place.source)
        place.tally.add("JSON was mended by guessing; compare", place.source, int(found.repaired))
        return found.value
    if shape.answer_format is None or task is None:
        raise RecipeError(
            f"the answer {quote(body)} is text and nothing says how it is written",
            where=str(place.source),
            expected="data.answer_format: one of " + ", ".join(_FORMATS) if task else "a task with types",
            fix="data.answer_format=pairs reads 内容_类型 on each line, lines reads 类型：内容；内容",
        )
    return _parse_format(task, _FORMATS[shape.answer_format], body, text, place.source)


def _parse_format(task: ExtractionTask, answer_format: AnyFormat, body: str, text: str, source: Source) -> Parsed:
    """The items of an answer in one of our formats; written by others, so separators inside mentions may stand bare."""
    body = "\n".join(line for line in body.split("\n") if line.strip())
    parsed = answer_format.parse_completion(task, text, body)
    if answer_format.name == "pairs" and any(problem.kind is ProblemKind.UNPARSEABLE for problem in parsed.problems):
        parsed = _read_bare_pairs(body) or parsed
    for problem in parsed.problems:
        if problem.kind is ProblemKind.UNKNOWN_TYPE:
            require_type(problem.detail, task.names, source)
        raise _unparseable(problem.detail, f"the syntax of data.answer_format: {answer_format.name}", source)
    return parsed


def _read_bare_pairs(body: str) -> Parsed | None:
    """`内容_类型` lines in which the last `_` separates and nothing is escaped; None where a line is anything else."""
    pieces = [line.rpartition("_") for line in body.split("\n")]
    if not all(mention and name for mention, _, name in pieces):
        return None
    return Parsed(tuple(ParsedItem(name, mention, 0, 0) for mention, _, name in pieces))


def _items_of(value: object, source: Source) -> list[ParsedItem]:
    """Mentions by type, or a list of objects with type and text."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [ParsedItem(str(name), mention, 0, 0) for name, one in value.items() for mention in _strings(one, source)]
    if isinstance(value, list) and all(_is_typed(one) for one in value):
        return [ParsedItem(one["type"], one["text"], 0, 0) for one in value]
    raise RowError(
        f"the answer is a {type(value).__name__} that is not understood", source=source, expected=_SHAPE, fix="correct the row"
    )


def _is_typed(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("type"), str) and isinstance(value.get("text"), str)


def _strings(value: object, source: Source) -> Sequence[str]:
    if value is None:
        return ()
    mentions = [value] if isinstance(value, str) else value
    if not isinstance(mentions, list) or not all(isinstance(mention, str) for mention in mentions):
        raise RowError(
            f"mentions are a {type(value).__name__}",
            source=source,
            expected="a list of strings for each type",
            fix="correct the row",
        )
    return mentions


def _ground(text: str, items: Sequence[ParsedItem], place: Place) -> Extraction:
    """Put every item into the text, or raise a RowError that names those that are not there."""
    alignment = align(text, items)
    missing = [items[number] for number in alignment.ungrounded]
    place.tally.add(NOT_IN_TEXT, place.source, len(missing))
    if missing:
        shown = ", ".join(f"{quote(item.text)} ({item.type})" for item in missing[:_SHOWN])
        raise RowError(
            f"{len(missing)} mention(s) do not occur in the text: {shown}",
            source=place.source,
            expected="mentions copied from the text; width, case and white space may differ",
            fix="correct the answer or the text, or data.on_bad_row=skip leaves such rows out and counts them",
        )
    folded = sum(items[number].text != span.text for number, span in alignment.placed)
    place.tally.add("a mention differs from its text in width, case or white space", place.source, folded)
    repeats = len(alignment.duplicates)
    place.tally.add("a mention is named more often than it occurs; the repeat is left out", place.source, repeats)
    place.tally.add(
        "a mention occurs more often than it is named; which one is meant is guessed", place.source, alignment.open_items
    )
    return Extraction(tuple(span for _, span in alignment.placed))


def _unparseable(piece: str, expected: str, source: Source) -> RowError:
    return RowError(f"the answer cannot be read at {quote(piece)}", source=source, expected=expected, fix="correct the answer")
