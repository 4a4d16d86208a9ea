"""What the file formats of other tools share: a row becomes a text with its annotation, an example becomes a row.

In: a file and the task, or examples. Out: rows with what was lost on the way, or a file with what it could not hold. What a
format looks like stands in its own file, both faces of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from extune.data.readers.base import Row, RowError, require_text
from extune.data.readers.choices import read_labels
from extune.data.readers.columns import RowShape
from extune.data.readers.spans import parse_entities, parse_id
from extune.data.readers.tables import RawRow, iter_raw_rows
from extune.data.readers.tally import Place, Tally
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Span
from extune.domain.example import Example, Source
from extune.domain.task import ClassificationTask, ExtractionTask, Task

EXTRACTION, CLASSIFICATION = "extraction", "classification"
NO_GOLD = "an example without annotation reads as one with nothing to find"
LEFT_OUT = "an example without annotation cannot be said and is left out"
_KINDS: Mapping[type[Annotation], str] = {
    Extraction: EXTRACTION,
    Labels: CLASSIFICATION,
    Fields: "record",
    Answer: "generation",
}
_USUAL_SHAPE = RowShape()

Entity = dict[str, Any]
"""`start`, `end`, `type`, and `text` where the file says it; whatever the file had there, good or bad."""


class Content(NamedTuple):
    """What a row says; `gold` is None where nobody has annotated it."""

    text: str
    gold: Annotation | None


class Reading:
    """One file while it is read.

    Attributes:
        kind: of the task, or of what the file shows first where no task is given.
        losses: what the file says and an example cannot hold.
        remarks: what was decided.
    """

    def __init__(self, path: Path, task: Task | None, kind: str) -> None:
        self.kind, self.losses, self.remarks = kind, Tally(), Tally()
        self._path, self._task = path, task
        self._lines_by_id: dict[str, int] = {}
        self._count = 0

    @property
    def names(self) -> Sequence[str] | None:
        """The allowed types; None allows all."""
        return self._task.names if isinstance(self._task, ExtractionTask) else None

    @property
    def has_task(self) -> bool:
        """Whether the file is read for a task, and not only to be looked at or converted."""
        return self._task is not None

    def name(self, value: object, source: Source) -> str:
        """The id of the next row: what the row says, or its number; a RowError where it is taken."""
        self._count += 1
        return parse_id({} if value is None else {"id": value}, f"{self._path.stem}-{self._count}", self._lines_by_id, source)

    def read_entities(self, text: str, entities: Iterable[Entity], source: Source) -> Extraction:
        """Spans of a text, or a RowError; one that stands twice is kept once."""
        unique: dict[str, Entity] = {}
        for entity in entities:
            key = repr([entity.get(part) for part in ("start", "end", "type")])
            if key in unique:
                self.losses.add("an entity that stands twice is kept once", source)
            unique.setdefault(key, entity)
        return Extraction(parse_entities(list(unique.values()), text, self.names, source))

    def read_names(self, names: object, source: Source) -> Labels:
        """Label names, or a RowError."""
        if isinstance(self._task, ClassificationTask):
            return read_labels(self._task, names, None, _USUAL_SHAPE, Place(source, self.remarks))
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise RowError(
                "the labels are no list of names", source=source, expected="a list of strings", fix="correct the row"
            )
        return Labels(tuple(dict.fromkeys(names)))

    def ignore(self, row: Mapping[str, Any], used: Iterable[str], source: Source) -> None:
        """Count the keys of a row that say something and have no place in an example."""
        for key in sorted(row.keys() - set(used)):
            self.losses.add(f"{key!r} is not read", source, int(row[key] not in (None, "", [], {})))


class Imported(NamedTuple):
    """Rows in file order, notes, and what was lost."""

    rows: list[Row]
    notes: list[str]
    losses: Tally


@dataclass
class Export:
    """Examples on the way into a file.

    Attributes:
        examples: with ids that are unique; their annotations are gold, or predictions of `model`.
        model: the name of what predicted them; None where they are gold.
        losses: what the file cannot hold.
    """

    examples: Sequence[Example]
    model: str | None = None
    losses: Tally = field(default_factory=Tally)

    def lose(self, what: str, example: Example, detail: str = "") -> None:
        """Count something that the file cannot hold."""
        place = str(example.source or example.id)
        self.losses.add(what, f"{place}: {detail}" if detail else place)

    def lose_extras(self, example: Example, *, holds_ids: bool = True, holds_confidence: bool = False) -> None:
        """Count what no format of another tool holds, and the id where this one does not."""
        if not holds_ids and not is_generated_id(example):
            self.lose("an id is lost", example, repr(example.id))
        for part, value in (
            ("instruction", example.instruction),
            ("candidates", example.candidates),
            ("history", example.history),
        ):
            if value:
                self.lose(f"{part} of an example is lost", example)
        if isinstance(example.gold, Extraction):
            for mention in example.gold.ungrounded:
                self.lose("a mention that is not in its text is lost", example, repr(mention.text))
            if not holds_confidence and any(span.confidence is not None for span in example.gold.spans):
                self.lose("confidences are lost", example)

    def spans(self, example: Example) -> tuple[Span, ...]:
        """The spans of an extraction; none where the example has no annotation."""
        return example.gold.spans if isinstance(example.gold, Extraction) else ()


class RowFormat:
    """A format that is rows of JSON: one object an example."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    """The kinds of annotation that it holds."""

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """Whether a row can only be of this format."""
        raise NotImplementedError

    def shows_classes(self, _row: Mapping[str, Any]) -> bool:
        """Whether a row has label names; only asked where no task says what is read."""
        return False

    def read_row(self, row: Mapping[str, Any], reading: Reading, source: Source) -> Content | None:
        """Text and annotation; None where the row is left out, which is counted. A wrong row is a RowError."""
        raise NotImplementedError

    def write_row(self, example: Example, export: Export) -> dict[str, Any]:
        """The row of an example; what it cannot hold is counted."""
        raise NotImplementedError

    def id_of(self, row: Mapping[str, Any]) -> object:
        """The id that a row names; None where it names none."""
        return row.get("id")

    def read(self, path: Path, codec: str, task: Task | None) -> Imported:
        """All rows of a file.

        Args:
            path: JSON lines, or one array.
            codec: of the file.
            task: what its annotations are; None: what they show, all names allowed.

        Raises:
            DataError: the file cannot be read on.
        """
        raws = list(iter_raw_rows(path, codec))
        shows_classes = any(isinstance(raw, RawRow) and self.shows_classes(raw.values) for raw in raws)
        kind = task.kind if task is not None else CLASSIFICATION if shows_classes else EXTRACTION
        reading = Reading(path, task, kind)
        rows = list(self._read_rows(raws, reading))
        return Imported(rows, reading.remarks.notes(), reading.losses)

    def _read_rows(self, raws: Sequence[RawRow | RowError], reading: Reading) -> Iterator[Row]:
        for raw in raws:
            if isinstance(raw, RowError):
                yield raw
                continue
            try:
                example_id = reading.name(self.id_of(raw.values), raw.source)
                content = self.read_row(raw.values, reading, raw.source)
            except RowError as error:
                yield error
            else:
                if content is not None:
                    yield Example(example_id, content.text, content.gold, source=raw.source)

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """The file that holds all examples: an array where the name ends with .json, else JSON lines."""
        return {path: render_values(self.list_values(export), as_array=path.suffix.lower() == ".json")}

    def list_values(self, export: Export) -> list[dict[str, Any]]:
        """The rows of the file."""
        return [self.write_row(example, export) for example in export.examples]


def render_values(values: Sequence[object], *, as_array: bool) -> str:
    """JSON, Chinese as itself: one array with an element on each line, or lines."""
    lines = [json.dumps(value, ensure_ascii=False) for value in values]
    return "[\n" + ",\n".join(lines) + "\n]\n" if as_array else "".join(line + "\n" for line in lines)


def kind_of(annotation: Annotation) -> str:
    """The kind of task that an annotation belongs to."""
    return _KINDS[type(annotation)]


def is_generated_id(example: Example) -> bool:
    """Whether an id only says which row of its file the example is, so that nothing is lost with it."""
    return example.source is not None and bool(re.fullmatch(re.escape(Path(example.source.file).stem) + r"-\d+", example.id))


def with_id(example: Example, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the example's id before it, where the id says more than a number."""
    return row if is_generated_id(example) else {"id": example.id, **row}


def text_of(row: Mapping[str, Any], key: str, source: Source) -> str:
    """The text of a row, or a RowError."""
    if key not in row:
        raise RowError(
            f"key {key!r} is missing; there are: {', '.join(map(repr, row)) or 'none'}",
            source=source,
            expected=f"the text under {key!r}",
            fix="correct the row, or name the format with data.reader (--from)",
        )
    return require_text(row[key], source)


def list_of(row: Mapping[str, Any], key: str, source: Source) -> list[dict[str, Any]]:
    """The objects of a list, empty where the row has none, or a RowError."""
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, dict) for member in value):
        raise RowError(f"{key!r} is no list of objects", source=source, expected="a list of objects", fix="correct the row")
    return value
