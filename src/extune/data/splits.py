"""Which file is which split. In: the `data` section and a split's name. Out: what the readers made of that file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from extune.data.readers import ReadResult, read_examples
from extune.domain.task import Task
from extune.errors import DataError, RecipeError
from extune.recipe.sections import DataSection
from extune.recipe.shipped import resolve_data_path

SplitName = Literal["train", "dev", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def find_split(data: DataSection, split: str) -> Path | None:
    """The file of a split, or None where the recipe names none."""
    value: str | None = getattr(data, split) if split in SPLITS else None
    return None if value is None else resolve_data_path(value)


def read_split(data: DataSection, split: str, task: Task) -> ReadResult:
    """Read a split as the recipe says; `train_limit` shortens the training split.

    Raises:
        RecipeError: the recipe names no file for this split.
        DataError: the file is missing, empty or has a wrong row.
    """
    path = find_split(data, split)
    if path is None:
        raise RecipeError(
            f"data.{split} is not set",
            where=f"data.{split}",
            expected="a file of examples",
            fix=f"data.{split}=FILE",
        )
    result = read_file(data, path, task)
    if split == "train" and data.train_limit is not None:
        return replace(result, examples=result.examples[: data.train_limit])
    return result


def read_file(data: DataSection, path: Path, task: Task) -> ReadResult:
    """Read any file of labelled examples with the settings of a recipe.

    Raises:
        DataError: the file is missing, holds no example or has a wrong row.
    """
    result = read_examples(
        path, reader=data.reader, task=task, encoding=data.encoding, joiner=data.joiner, on_bad_row=data.on_bad_row
    )
    if not result.examples:
        raise DataError(
            f"holds no example ({len(result.skipped)} rows were skipped)" if result.skipped else "is empty",
            where=str(path),
            expected="at least one labelled example",
            fix="check the file; extune check RECIPE lists every wrong row",
        )
    return result
