"""Which examples are which split. In: the `data` section and a split's name. Out: what the readers made of its files.

A split has files of its own, or is a part of the training file (`data.split`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from extune.data.partition import assign_parts
from extune.data.readers import ReadResult, RowShape, SkippedRow, read_examples
from extune.data.readers.folders import list_data_files, list_other_files
from extune.data.readers.locations import Location, locate
from extune.data.readers.tally import Tally
from extune.domain.example import Example
from extune.domain.task import Task
from extune.errors import DataError, RecipeError
from extune.recipe.sections import DataSection, SplitSection

SplitName = Literal["train", "dev", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
_SHOWN_FILES = 10


def name_split(data: DataSection, split: str) -> str | None:
    """What the recipe names for a split: its own file, the training file that it is a part of, or None."""
    value: str | None = getattr(data, split) if split in SPLITS else None
    return data.train if value is None and is_part(data, split) else value


def require_name(data: DataSection, split: str) -> str:
    """What the recipe names for a split.

    Raises:
        RecipeError: it names nothing.
    """
    value = name_split(data, split)
    if value is None:
        raise RecipeError(
            f"data.{split} is not set",
            where=f"data.{split}",
            expected="a file of examples",
            fix=f"data.{split}=FILE" if split == "train" else f"data.{split}=FILE, or data.split.{split}=0.1",
        )
    return value


def find_split(data: DataSection, split: str) -> Path | None:
    """The file or folder of a split, or None where the recipe names none; what a hub has is downloaded."""
    value = name_split(data, split)
    return None if value is None else locate(value).path


def find_shape(data: DataSection, split: str) -> RowShape:
    """How rows of a split are read."""
    value = name_split(data, split)
    return _build_shape(data, Location(Path()) if value is None else locate(value), "train" if is_part(data, split) else split)


def read_split(data: DataSection, split: str, task: Task) -> ReadResult:
    """Read a split as the recipe says; `train_limit` shortens the training split.

    Raises:
        RecipeError: the recipe names no file for this split.
        DataError: the file is missing, empty or has a wrong row, or `data.split` leaves nothing for this split.
    """
    value = require_name(data, split)
    taken_from_train = is_part(data, split)
    result = _require_gold(_read_location(data, locate(value), task, "train" if taken_from_train else split), data.on_bad_row)
    if taken_from_train and data.split is not None:
        result = _keep_part(result, data.split, split, value)
    if split == "train" and data.train_limit is not None:
        return replace(result, examples=result.examples[: data.train_limit])
    return result


def read_file(data: DataSection, path: Path, task: Task | None) -> ReadResult:
    """Read any file or folder of labelled examples with the settings of a recipe; without a task as it is.

    Raises:
        DataError: the file is missing, holds no example or has a wrong row.
    """
    return _read_location(data, Location(path), task, None)


def is_part(data: DataSection, split: str) -> bool:
    """Whether a split is a part of the training file."""
    return data.split is not None and (split == "train" or (split in SPLITS and getattr(data.split, split) is not None))


def _read_location(data: DataSection, location: Location, task: Task | None, split: str | None) -> ReadResult:
    shape = _build_shape(data, location, split)
    files = list_data_files(location.path, split)
    results = [
        read_examples(
            file,
            reader=data.reader,
            task=task,
            encoding=data.encoding,
            joiner=data.joiner,
            on_bad_row=data.on_bad_row,
            shape=shape,
        )
        for file in files
    ]
    result = results[0] if files == (location.path,) else _merge(location.path, files, results)
    if not result.examples:
        raise DataError(
            f"none of {len(result.skipped)} documents can be read; {result.skipped[0].reason}",
            where=str(location.path),
            expected="at least one example",
            fix="correct the documents",
        )
    return result


def _build_shape(data: DataSection, location: Location, split: str | None) -> RowShape:
    return RowShape(
        columns=data.columns if data.columns is not None else location.columns,
        answer_format=data.answer_format,
        nothing=data.nothing,
        group_by=data.split.by if data.split is not None and split == "train" else None,
        turns=location.turns,
    )


def _merge(folder: Path, files: Sequence[Path], results: Sequence[ReadResult]) -> ReadResult:
    """One result of the files of a folder; ids of files in sub-folders begin with the sub-folder's name.

    What several files say alike, or lose, is one note: a data set may have a file for each example.
    """
    examples: dict[str, Example] = {}
    skipped: list[SkippedRow] = []
    read = ", ".join(str(file.relative_to(folder)) for file in files[:_SHOWN_FILES])
    notes = [f"read {read}" + (f" and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else "")]
    others = list_other_files(folder)
    if others:
        notes.append(f"{len(others)} other file(s) not read, the first is {others[0].relative_to(folder)}")
    groups: dict[str, str] = {}
    losses, notes_of = Tally(), dict[tuple[str, ...], list[str]]()
    for file, result in zip(files, results, strict=True):
        name = file.relative_to(folder)
        prefix = "" if name.parent == Path() else f"{name.parent.as_posix()}/"
        for example in result.examples:
            moved = replace(example, id=prefix + example.id)
            if moved.id in examples:
                raise DataError(
                    f"id {moved.id!r} also stands at {examples[moved.id].source}",
                    where=str(moved.source),
                    expected="every id once in a folder",
                    fix="rename one, or give data.columns.id=[] to number all rows",
                )
            examples[moved.id] = moved
        groups.update((prefix + example_id, group) for example_id, group in result.groups.items())
        skipped += [replace(row, reason=f"in {name}: {row.reason}") for row in result.skipped]
        losses.merge(result.losses)
        own = tuple(note for note in result.notes if note not in result.losses.notes())
        notes_of.setdefault(own, []).append(str(name))
    for several, names in notes_of.items():
        shown = names[0] if len(names) == 1 else f"{len(names)} files, the first is {names[0]}"
        notes += [f"{shown}: {note}" for note in several]
    notes += losses.notes()
    encodings = ", ".join(sorted({result.encoding for result in results}))
    return ReadResult(tuple(examples.values()), tuple(skipped), encodings, tuple(notes), groups, losses)


def _require_gold(result: ReadResult, on_bad_row: str) -> ReadResult:
    """The examples that somebody has annotated; one without gold, as annotation tools export it, is a wrong row.

    Raises:
        DataError: there is one, and wrong rows are errors; or there is nothing else.
    """
    lacking = [example for example in result.examples if example.gold is None]
    if not lacking:
        return result
    first = lacking[0]
    kept = tuple(example for example in result.examples if example.gold is not None)
    if on_bad_row != "skip" or not kept:
        raise DataError(
            f"example {first.id!r} is not annotated" + (f", nor are {len(lacking) - 1} others" if len(lacking) > 1 else ""),
            where=str(first.source or first.id),
            expected="an annotation of every example; an empty one says that there is nothing to find",
            fix="annotate it, or data.on_bad_row=skip leaves such examples out and counts them",
        )
    skipped = [
        SkippedRow(example.source.line if example.source else 0, f"example {example.id!r} is not annotated", "no-gold")
        for example in lacking
    ]
    return replace(result, examples=kept, skipped=(*result.skipped, *skipped))


def _keep_part(result: ReadResult, split: SplitSection, part: str, value: str) -> ReadResult:
    """The examples of one part of a training file, and a note on how it was divided."""
    parts = assign_parts(result.examples, result.groups, split)
    examples = tuple(example for example, found in zip(result.examples, parts, strict=True) if found == part)
    sizes = ", ".join(f"{parts.count(name)} {name}" for name in SPLITS)
    if not examples:
        raise DataError(
            f"data.split leaves nothing for {part}: {len(parts)} examples become {sizes}",
            where=value,
            expected="at least one example in each part",
            fix="change data.split.dev or data.split.test",
        )
    asked = ", ".join(f"{key}: {shown}" for key, shown in split.model_dump(exclude_none=True).items())
    return replace(result, examples=examples, notes=(*result.notes, f"{part} of data.split {{{asked}}}: {sizes}"))
