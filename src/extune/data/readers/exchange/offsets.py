"""In what unit the offsets of a file count, found by the strings that the file says stand there.

In: a text and entities with foreign offsets. Out: the same entities with offsets in code points. Browsers count UTF-16 units,
in which a character beyond U+FFFF (emoji, rare ideographs) is two, and may count CR LF as one; which a tool does depends on
its version. It knows no format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from extune.data.readers.exchange.base import Entity, Reading
from extune.domain.example import Source

_CODE_POINTS = "code points"


def settle_offsets(text: str, entities: Sequence[Entity], reading: Reading, source: Source) -> list[Entity]:
    """Offsets in code points, in the first unit that fits every entity of the row.

    A unit fits where every offset is a boundary of the text in it, and every string that an entity claims stands there (white
    space aside). Where none does, the entities are returned as they are, so that the reader says what is wrong with them.
    """
    fitting = [(name, settled) for name, places in _units(text) if (settled := _settle_all(text, entities, places)) is not None]
    if not fitting:
        return list(entities)
    name, settled = fitting[0]
    if name != _CODE_POINTS:
        reading.remarks.add(f"offsets are read as {name}", source)
    elif any(other != settled for _, other in fitting[1:]):
        reading.remarks.add("offsets are taken for code points; no string in the row shows it", source)
    return settled


def _units(text: str) -> Iterator[tuple[str, Sequence[int | None]]]:
    """Units of offsets, each with the place in code points of every offset; None inside a character."""
    yield _CODE_POINTS, range(len(text) + 1)
    has_astral, has_crlf = any(ord(character) > 0xFFFF for character in text), "\r\n" in text
    if has_astral:
        yield "UTF-16 units", _places(text, wide=True, crlf_is_one=False)
    if has_crlf:
        yield "code points with CR LF as one", _places(text, wide=False, crlf_is_one=True)
    if has_astral and has_crlf:
        yield "UTF-16 units with CR LF as one", _places(text, wide=True, crlf_is_one=True)


def _places(text: str, *, wide: bool, crlf_is_one: bool) -> list[int | None]:
    places: list[int | None] = []
    for place, character in enumerate(text):
        if crlf_is_one and text.startswith("\r\n", place):
            continue  # the pair is where its LF is
        places.append(place - 1 if crlf_is_one and text.startswith("\r\n", place - 1) and place else place)
        if wide and ord(character) > 0xFFFF:
            places.append(None)
    places.append(len(text))
    return places


def _settle_all(text: str, entities: Sequence[Entity], places: Sequence[int | None]) -> list[Entity] | None:
    settled = [_settle(text, entity, places) for entity in entities]
    return None if None in settled else [entity for entity in settled if entity is not None]


def _settle(text: str, entity: Entity, places: Sequence[int | None]) -> Entity | None:
    """The entity in code points, without the string that it claims; None where the offsets cannot be in this unit."""
    start, end = (_place(entity.get(key), places) for key in ("start", "end"))
    if start is None or end is None or start >= end:
        return None
    claimed = entity.get("text")
    if isinstance(claimed, str) and claimed and _squeeze(claimed) != _squeeze(text[start:end]):
        return None
    return {"start": start, "end": end, "type": entity.get("type")}


def _place(offset: object, places: Sequence[int | None]) -> int | None:
    return places[offset] if type(offset) is int and 0 <= offset < len(places) else None


def _squeeze(string: str) -> str:
    r"""Without white space and without `\n` in letters: tools shorten or spell out line breaks of what they quote."""
    return "".join(string.replace("\\n", "").split())
