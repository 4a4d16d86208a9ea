"""brat's standoff files: `NAME.txt` with the text and `NAME.ann` with lines such as `T1<tab>type 0 2<tab>黄芪`.

In: one document, or examples. Out: an example whose id is the document's name, or a folder of documents. Offsets count code
points of the text as it stands in the file, CR LF as two, a byte order mark as one. A mention over a line break is written in
pieces, as brat does it, and read as one. Relations, events, attributes, normalizations and comments are counted and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from extune.data.readers.base import Row, RowError, numbered_lines, quote
from extune.data.readers.exchange.base import (
    EXTRACTION,
    NO_GOLD,
    Entity,
    Export,
    Imported,
    Reading,
    is_generated_id,
)
from extune.domain.annotation import Span
from extune.domain.example import Example, Source
from extune.domain.task import Task
from extune.files import detect_encoding, read_text, require_file

TEXT_SUFFIX, ANNOTATION_SUFFIX = ".txt", ".ann"
_SPAN = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_OTHERS = {
    "R": "a relation", "*": "an equivalence", "E": "an event", "A": "an attribute", "M": "an attribute",
    "N": "a normalization", "#": "a comment",
}  # fmt: skip
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # at which brat, which is Python, ends a line
_PIECE = re.compile(f"[^{_LINE_BREAKS}]+")
_SAFE_NAME = re.compile(r"[\w-][\w.-]{0,79}")


class Brat:
    """A folder of documents. Holds nested and crossing spans, and ids that can be names of files."""

    name = "brat"
    kinds = (EXTRACTION,)

    def recognises_file(self, path: Path) -> bool:
        """By the annotations themselves, or beside the text."""
        suffix = path.suffix.lower()
        return suffix == ANNOTATION_SUFFIX or (suffix == TEXT_SUFFIX and path.with_suffix(ANNOTATION_SUFFIX).is_file())

    def read(self, path: Path, codec: str, task: Task | None) -> Imported:
        """One document; without `.ann` it is not annotated.

        Args:
            path: of the text or of its annotations.
            codec: of the text.
            task: its types are the allowed ones. For a task a discontinuous entity is an error, else it is left out, counted.

        Raises:
            DataError: there is no text, or it cannot be decoded.
        """
        text_path, annotation_path = path.with_suffix(TEXT_SUFFIX), path.with_suffix(ANNOTATION_SUFFIX)
        require_file(text_path)
        if text_path != path:
            codec = detect_encoding(text_path)
        text = text_path.read_bytes().decode("utf-8" if codec == "utf-8-sig" else codec)
        reading = Reading(path, task, EXTRACTION)
        gold = None
        row: Row
        try:
            if annotation_path.is_file():
                entities = list(_read_entities(text, annotation_path, reading))
                gold = reading.read_entities(text, entities, Source(str(annotation_path), 1))
            row = Example(text_path.stem, text, gold, source=Source(str(text_path), 1))
        except RowError as error:
            row = error
        return Imported([row], reading.remarks.notes(), reading.losses)

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """Two files for each example, in a folder."""
        files: dict[Path, str] = {}
        names = _name_documents(export)
        for example, name in zip(export.examples, names, strict=True):
            export.lose_extras(example)
            if example.gold is None:
                export.lose(NO_GOLD, example)
            lines = list(_write_lines(example, export))
            files[path / (name + TEXT_SUFFIX)] = example.text
            files[path / (name + ANNOTATION_SUFFIX)] = "".join(line + "\n" for line in lines)
        if names != sorted(names):
            first = next(one for one, name, right in zip(export.examples, names, sorted(names), strict=True) if name != right)
            export.lose("the order of the examples becomes that of their names", first)
        return files


def _read_entities(text: str, path: Path, reading: Reading) -> Iterator[Entity]:
    for number, line in numbered_lines(read_text(path)):
        source = Source(str(path), number)
        if not line.strip():
            continue
        if not line.startswith("T"):
            what = _OTHERS.get(line[0])
            if what is None:
                raise _unreadable(line, source)
            reading.losses.add(f"{what} is not read", source)
            continue
        match = _SPAN.fullmatch(line)
        if not match:
            raise _unreadable(line, source)
        pieces = sorted((int(start), int(end)) for start, end in (piece.split(" ") for piece in match[2].split(";")))
        whole = _join_pieces(text, pieces)
        if whole is None and reading.has_task:
            raise RowError(
                f"the entity {quote(match[3] or '')} of type {quote(match[1])} is discontinuous",
                source=source,
                expected="one start and one end; discontinuous entities are not supported",
                fix="annotate each piece, or data.on_bad_row=skip leaves such documents out and counts them",
                code="discontinuous",
            )
        if whole is None:
            reading.losses.add("a discontinuous entity is left out", f"{source}: {match[3]!r}")
            continue
        entity: Entity = {"start": whole[0], "end": whole[1], "type": match[1]}
        # brat writes a blank where a mention is in pieces, so only that of one piece stands in the text.
        yield {**entity, "text": match[3]} if match[3] and len(pieces) == 1 else entity


def _join_pieces(text: str, pieces: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The interval of all pieces where nothing but line breaks stands between them, else None."""
    end = pieces[0][1]
    for start, next_end in pieces[1:]:
        if text[end:start].strip(_LINE_BREAKS) or start < end:
            return None
        end = next_end
    return pieces[0][0], end


def _unreadable(line: str, source: Source) -> RowError:
    return RowError(
        f"{quote(line)} is no annotation",
        source=source,
        expected="T1<tab>type 0 2<tab>mention, or a line of brat that begins with R E A M N # or *",
        fix="correct the line",
    )


def _name_documents(export: Export) -> list[str]:
    """A file name for each example: its id where that is one, else a number."""
    width = len(str(len(export.examples)))
    names: list[str] = []
    taken: set[str] = set()
    for number, example in enumerate(export.examples, 1):
        name = example.id
        if is_generated_id(example) or not _SAFE_NAME.fullmatch(name) or name.casefold() in taken:
            name = f"doc-{number:0{width}}"
            if not is_generated_id(example):
                export.lose("an id that cannot be the name of a file is lost", example, repr(example.id))
        taken.add(name.casefold())
        names.append(name)
    return names


def _write_lines(example: Example, export: Export) -> Iterator[str]:
    number = 0
    for span in export.spans(example):
        pieces = list(_pieces(span))
        if not pieces:
            export.lose("a mention that begins or ends at a line break is lost", example, repr(span.text))
        elif re.search(r"\s", span.type):
            export.lose("a type with white space is lost", example, repr(span.type))
        else:
            number += 1
            places = ";".join(f"{span.start + start} {span.start + end}" for start, end, _ in pieces)
            yield f"T{number}\t{span.type} {places}\t{' '.join(string for _, _, string in pieces)}"


def _pieces(span: Span) -> Iterator[tuple[int, int, str]]:
    """The parts of a mention between line breaks, with their places in it; none where it begins or ends with a line break."""
    if span.text[0] not in _LINE_BREAKS and span.text[-1] not in _LINE_BREAKS:
        for match in _PIECE.finditer(span.text):
            yield match.start(), match.end(), match[0]
