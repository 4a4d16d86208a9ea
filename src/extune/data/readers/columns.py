"""What a row's columns hold: its text, instruction, answer and so on, by the recipe's names or the usual ones.

In: a row and the names. Out: its parts, still as the file has them. It knows nothing about files, and of tasks only which
names their answers usually have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extune.data.readers.base import RowError, quote, require_text
from extune.data.readers.loose_json import parse_loose_json
from extune.data.readers.own_rows import ANSWER_KEYS
from extune.domain.example import Source
from extune.domain.task import Task
from extune.errors import DataError
from extune.recipe.sections import ColumnsSection, ExtractionFormatName

ANSWER_NAMES: Mapping[str, tuple[str, ...]] = {
    "extraction": ("entities", "answer", "output"),
    "record": ("fields", "answer", "output"),
    "classification": ("label", "labels", "answer", "output"),
    "generation": ("answer", "output"),
}
MESSAGES_NAMES = ("messages", "conversations")
_USUAL = {
    "id": ("id",),
    "text": ("text", "input"),
    "instruction": ("instruction",),
    "system": ("system",),
    "history": ("history",),
    "candidates": ("candidates",),
    "messages": MESSAGES_NAMES,
}
_NO_COLUMNS = ColumnsSection()


@dataclass(frozen=True)
class TurnKeys:
    """How the turns of a conversation are written; None stands for what is usual.

    Attributes:
        role, content: keys of a turn.
        user, assistant, system: values of the role.
    """

    role: str | None = None
    content: str | None = None
    user: str | None = None
    assistant: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class RowShape:
    """How rows of named columns are read: `data.columns`, `.answer_format`, `.nothing` and `.split.by`, and keys of turns."""

    columns: ColumnsSection | None = None
    answer_format: ExtractionFormatName | None = None
    nothing: tuple[str, ...] = ("无", "没有")
    group_by: str | None = None
    turns: TurnKeys = TurnKeys()

    @property
    def is_usual(self) -> bool:
        """True where nothing says which columns the rows have."""
        return self.columns is None and self.answer_format is None and self.group_by is None


@dataclass
class Columns:
    """Picks the parts of rows and remembers which column was which part, and which were none."""

    names: Mapping[str, tuple[str, ...]]
    asked: frozenset[str]  # the parts whose columns the recipe names
    ignored: Counter[str] = field(default_factory=Counter)
    seen: dict[str, str] = field(default_factory=dict)

    def find(self, part: str, row: Mapping[str, Any]) -> str | None:
        """The column that holds a part of this row, or None where there is none."""
        name = self._find(part, row)
        if name is not None:
            self.seen.setdefault(part, name)
        return name

    def _find(self, part: str, row: Mapping[str, Any]) -> str | None:
        return next((name for name in self.names[part] if name in row), None)

    def value(self, part: str, row: Mapping[str, Any]) -> Any:
        """The part of this row; None where it has none."""
        name = self.find(part, row)
        return None if name is None else row[name]

    def string(self, part: str, row: Mapping[str, Any], source: Source) -> str:
        """The part as a string, empty where there is none; a list of strings is joined by line ends."""
        value = self.value(part, row)
        if value is None:
            return ""
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            value = "\n".join(value)
        if not isinstance(value, str):
            raise RowError(
                f'"{self.find(part, row)}" is of type {type(value).__name__}',
                source=source,
                expected="a string, or a list of strings, which are joined by line ends",
                fix=f"correct the row, or data.columns.{part}=NAME",
            )
        return require_text(value, source)

    def question(self, row: Mapping[str, Any], source: Source) -> tuple[str, str | None]:
        """The text of a row, and the instruction with the system's before it, None where there is none.

        Of rows without text, such as alpaca's without input, the instruction is what is asked about: it becomes the text.
        """
        if self.find("text", row) is None and self.find("instruction", row) is None:
            raise self.missing("text", row, source)
        text, instruction, system = (self.string(part, row, source) for part in ("text", "instruction", "system"))
        if not text:
            text, instruction = instruction, ""
        return text, "\n".join(piece for piece in (system, instruction) if piece) or None

    def missing(self, part: str, row: Mapping[str, Any], source: Source) -> RowError:
        """The error of a row that has no column for a part."""
        return RowError(
            f"has no {part} ({' or '.join(map(quote, self.names[part]))}); there are: {', '.join(map(quote, row)) or 'none'}",
            source=source,
            expected=f"a column with the {part}; the first line of a CSV names its columns",
            fix=f"add it or name it so; in a recipe data.columns.{part}=NAME",
        )

    def pairs(self, part: str, row: Mapping[str, Any], source: Source) -> tuple[tuple[str, str], ...]:
        """Earlier [question, answer] pairs, also as JSON in a string."""
        value = self.value(part, row)
        if isinstance(value, str) and value.strip():
            found = parse_loose_json(value)
            value = value if found is None else found.value
        pairs = value or []
        if isinstance(pairs, list) and all(
            isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(turn, str) for turn in pair) for pair in pairs
        ):
            return tuple((question, answer) for question, answer in pairs)
        raise RowError(
            f"{part} is not a list of pairs",
            source=source,
            expected='[["question", "answer"], ...]',
            fix=f"correct the row; data.columns.{part}=[] leaves this column out",
        )

    def ignore_rest(self, row: Mapping[str, Any], also_used: Iterable[str] = (), unused: Iterable[str] = ()) -> None:
        """Count the columns of a row that hold no part but `unused` ones and are not in `also_used`."""
        used = {self._find(part, row) for part in self.names.keys() - set(unused)}
        self.ignored.update(row.keys() - used - set(also_used))

    def notes(self) -> list[str]:
        """Which columns are what, and which were ignored."""
        chosen = [f"{part} from {name!r}" for part, name in self.seen.items() if part != "id"]
        notes = [", ".join(chosen)] if chosen else []
        return notes + [f"column {name!r} ignored, {count} times" for name, count in sorted(self.ignored.items())]

    def require_seen(self, path: Path, names: Sequence[str]) -> None:
        """Raise a DataError where a column that the recipe names stands in no row.

        Args:
            path: of the file.
            names: of all columns in it.
        """
        for part in sorted(self.asked - self.seen.keys()):
            key = "data.split.by" if part == "group" else f"data.columns.{part}"
            if self.names[part]:
                raise DataError(
                    f"no row has a column {' or '.join(map(quote, self.names[part]))}; "
                    f"there are: {', '.join(map(quote, names)) or 'none'}",
                    where=str(path),
                    expected=f"the column that {key} names",
                    fix=f"{key}=NAME",
                )


def build_columns(shape: RowShape, task: Task | None) -> Columns:
    """The columns of a file: those that the recipe names, the usual ones for the rest."""
    section = shape.columns or _NO_COLUMNS
    answers = tuple(ANSWER_KEYS.values()) if task is None else ANSWER_NAMES[task.kind]
    chosen = {part: getattr(section, part) for part in (*_USUAL, "answer")}
    usual = {**_USUAL, "answer": answers}
    names = {part: usual[part] if value is None else value for part, value in chosen.items()}
    if shape.group_by is not None:
        names["group"] = (shape.group_by,)
    asked = {part for part, value in chosen.items() if value is not None} | ({"group"} & names.keys())
    return Columns(names, frozenset(asked))
