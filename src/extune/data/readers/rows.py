"""Labelled rows of named columns become examples, for every kind of task.

In: a file of rows, the task, and which columns hold what. Out: examples or the errors of wrong rows, notes, and which examples
belong together. A row is one example; a conversation of a generation task is one for each answer. Without a task only extune's
own rows are read, of any kind, and nothing in them is interpreted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from extune.data.partition import content_key
from extune.data.readers.base import Row, RowError, quote
from extune.data.readers.choices import read_answer, read_candidates, read_labels
from extune.data.readers.columns import Columns, RowShape, build_columns
from extune.data.readers.mentions import read_mentions
from extune.data.readers.own_rows import ANSWER_KEYS, parse_annotation, parse_strings
from extune.data.readers.records import read_record
from extune.data.readers.spans import parse_id, parse_ungrounded
from extune.data.readers.tables import RawRow, iter_raw_rows
from extune.data.readers.tally import Place, Tally
from extune.data.readers.turns import Turn, join_turns, parse_turns, read_conversation
from extune.domain.annotation import Annotation, Extraction
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask, Task

_UNGROUNDED = ("ungrounded",)

_NOT_OF_TURNS = ("text", "instruction", "history")  # a conversation holds them itself


class ReadRows(NamedTuple):
    """What a file of rows gave.

    Attributes:
        rows: examples and wrong rows in file order.
        notes: what was decided.
        groups: of examples that must stay together, by id: the value of the column `data.split.by`, else for examples of one
            row its id or content.
    """

    rows: list[Row]
    notes: list[str]
    groups: dict[str, str]


def read_rows(path: Path, encoding: str, task: Task | None, shape: RowShape) -> ReadRows:
    """Read a file of rows.

    Args:
        path: its suffix tells the container.
        encoding: from `find_encoding`.
        task: what the answers are; None: what the key says under which they stand (`ANSWER_KEYS`).
        shape: how the rows are read.

    Raises:
        DataError: the file cannot be read on, or a column that the recipe names is in no row.
        RecipeError: the answers are text and `data.answer_format` is not set.
    """
    reader = _RowReader(path, task, shape)
    rows: list[Row] = []
    names: dict[str, None] = {}
    for raw in iter_raw_rows(path, encoding):
        if isinstance(raw, RowError):
            rows.append(raw)
            continue
        names.update(dict.fromkeys(raw.values))
        try:
            rows += reader.read(raw)
        except RowError as error:
            rows.append(error)
    if names:
        reader.columns.require_seen(path, list(names))
    return ReadRows(rows, reader.notes(), reader.groups)


class _RowReader:
    """Reads the rows of one file and remembers their ids, groups, columns and what was decided."""

    def __init__(self, path: Path, task: Task | None, shape: RowShape) -> None:
        self.columns: Columns = build_columns(shape, task)
        self.groups: dict[str, str] = {}
        self._path, self._task, self._shape = path, task, shape
        self._tally = Tally()
        self._lines_by_id: dict[str, int] = {}
        self._count = 0

    def notes(self) -> list[str]:
        """Which columns are what, and what was decided."""
        return [*self.columns.notes(), *self._tally.notes()]

    def read(self, raw: RawRow) -> list[Example]:
        """The examples of one row, or a RowError."""
        self._count += 1
        place = Place(raw.source, self._tally)
        row_id = parse_id(self._id_of(raw), f"{self._path.stem}-{self._count}", self._lines_by_id, raw.source)
        if self._task is None:
            examples = [self._read_own(row_id, raw, place)]
        elif self.columns.value("messages", raw.values) is not None:
            examples = list(self._read_turns(row_id, raw, place))
        else:
            examples = [self._read_plain(row_id, raw, place)]
        self._group(row_id, raw, examples)
        return examples

    def _id_of(self, raw: RawRow) -> dict[str, Any]:
        value = self.columns.value("id", raw.values)
        return {} if value is None else {"id": value}

    def _group(self, row_id: str, raw: RawRow, examples: Sequence[Example]) -> None:
        """Remember what must stay together: a group of the recipe's, else the examples of one row."""
        group: str | None = None
        if len(examples) > 1:
            group = row_id if self.columns.value("id", raw.values) is not None else content_key(examples[-1])
        if self._shape.group_by is not None:
            value = self.columns.value("group", raw.values)
            if value is None or value == "":
                raise RowError(
                    f"has no {quote(self._shape.group_by)}",
                    source=raw.source,
                    expected="a value in the column of data.split.by",
                    fix="add it, or data.on_bad_row=skip leaves such rows out and counts them",
                )
            group = str(value)
        if group is not None:
            self.groups.update((example.id, group) for example in examples)

    def _read_own(self, row_id: str, raw: RawRow, place: Place) -> Example:
        """The example of a row as extune writes it."""
        key = self.columns.find("answer", raw.values)
        if key is None or self.columns.find("text", raw.values) is None:
            raise self.columns.missing("text" if key else "answer", raw.values, raw.source)
        text, instruction = self.columns.string("text", raw.values, raw.source), None
        if self.columns.value("instruction", raw.values) is not None:
            instruction = self.columns.string("instruction", raw.values, raw.source)
        candidates = self.columns.value("candidates", raw.values)
        self.columns.ignore_rest(raw.values, _UNGROUNDED)
        return Example(
            row_id,
            text,
            self._place_ungrounded(self._read_own_gold(key, raw, text, place), raw),
            instruction=instruction,
            history=self.columns.pairs("history", raw.values, raw.source),
            candidates=None if candidates is None else parse_strings("candidates", candidates, raw.source),
            source=raw.source,
        )

    def _read_own_gold(self, key: str, raw: RawRow, text: str, place: Place) -> Annotation:
        if key == ANSWER_KEYS["extraction"]:
            return read_mentions(None, raw.values[key], text, self._shape, place)
        return parse_annotation(key, raw.values, text, raw.source)

    def _place_ungrounded(self, gold: Annotation, raw: RawRow) -> Annotation:
        """The annotation with the mentions without place that extune's own rows list beside the spans."""
        if not isinstance(gold, Extraction) or _UNGROUNDED[0] not in raw.values:
            return gold
        return replace(gold, ungrounded=parse_ungrounded(raw.values, raw.source))

    def _read_plain(self, row_id: str, raw: RawRow, place: Place) -> Example:
        """One example of a row whose columns hold text and answer."""
        text, instruction = self.columns.question(raw.values, raw.source)
        answer, used = self._answer_of(raw)
        self.columns.ignore_rest(raw.values, (*used, *(_UNGROUNDED if isinstance(self._task, ExtractionTask) else ())))
        candidates = self._candidates(raw)
        return Example(
            row_id,
            text,
            self._place_ungrounded(self._read_gold(answer, text, candidates, place), raw),
            instruction=instruction,
            history=self.columns.pairs("history", raw.values, raw.source),
            candidates=candidates,
            source=raw.source,
        )

    def _answer_of(self, raw: RawRow) -> tuple[Any, Sequence[str]]:
        """The value of the answer column; of a record without one, the columns that bear its fields' names."""
        if self.columns.find("answer", raw.values) is not None:
            return self.columns.value("answer", raw.values), ()
        if isinstance(self._task, RecordTask):
            fields = {name: raw.values[name] for name in self._task.fields if name in raw.values}
            if fields:
                return fields, tuple(fields)
        raise self.columns.missing("answer", raw.values, raw.source)

    def _read_turns(self, row_id: str, raw: RawRow, place: Place) -> Iterator[Example]:
        """The examples of a row that is a conversation."""
        turns = parse_turns(self.columns.value("messages", raw.values), self._shape.turns, raw.source)
        system = self.columns.string("system", raw.values, raw.source)
        is_generation = isinstance(self._task, GenerationTask)
        self.columns.ignore_rest(raw.values, unused=(*_NOT_OF_TURNS, *(("answer", "candidates") if is_generation else ())))
        if not is_generation:
            yield self._read_joined(row_id, raw, turns, (system, place))
            return
        conversation = read_conversation(turns, raw.source)
        if not conversation.pairs:
            raise RowError(
                "the conversation has no answer",
                source=raw.source,
                expected="a turn of the assistant after one of the user",
                fix="remove the row, or data.on_bad_row=skip leaves such rows out and counts them",
            )
        place.tally.add("a question at the end without an answer is left out", raw.source, int(bool(conversation.rest)))
        instruction = "\n".join(part for part in (system, conversation.system) if part) or None
        for number, (question, answer) in enumerate(conversation.pairs):
            example_id = row_id
            if len(conversation.pairs) > 1:
                example_id = parse_id({}, f"{row_id}-{number + 1}", self._lines_by_id, raw.source)
            yield Example(
                example_id,
                question,
                read_answer(answer, place),
                instruction=instruction,
                history=conversation.pairs[:number],
                source=raw.source,
            )

    def _read_joined(self, row_id: str, raw: RawRow, turns: Sequence[Turn], around: tuple[str, Place]) -> Example:
        """One example: the answer column's, or the last turn's where it is the assistant's; the turns before are the text."""
        system, place = around
        spoken = [turn for turn in turns if turn.role != "system"]
        answer: Any = None
        if self.columns.find("answer", raw.values) is not None:
            answer = self.columns.value("answer", raw.values)
        elif len(spoken) > 1 and spoken[-1].role == "assistant":
            answer = spoken.pop().content
        else:
            raise self.columns.missing("answer", raw.values, raw.source)
        text, candidates = join_turns(spoken), self._candidates(raw)
        said = [system, *(turn.content for turn in turns if turn.role == "system")]
        instruction = "\n".join(filter(None, said)) or None
        gold = self._read_gold(answer, text, candidates, place)
        return Example(row_id, text, gold, instruction=instruction, candidates=candidates, source=raw.source)

    def _candidates(self, raw: RawRow) -> tuple[str, ...] | None:
        if not isinstance(self._task, ClassificationTask):
            return None
        return read_candidates(self._task, self.columns.value("candidates", raw.values), raw.source)

    def _read_gold(self, answer: Any, text: str, candidates: tuple[str, ...] | None, place: Place) -> Annotation:
        task, shape = self._task, self._shape
        if isinstance(task, RecordTask):
            return read_record(task, answer, text, shape, place)
        if isinstance(task, ClassificationTask):
            return read_labels(task, answer, candidates, shape, place)
        if isinstance(task, GenerationTask):
            return read_answer(answer, place)
        return read_mentions(task, answer, text, shape, place)
