"""Any file of examples, labelled or not, for programs that use extune. In: a path. Out: examples, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from extune.data.readers import read_examples as read_labelled
from extune.data.readers.base import RowError
from extune.data.readers.exchange import recognise
from extune.data.readers.own_rows import ANSWER_KEYS
from extune.data.readers.tables import SUFFIXES, find_encoding, iter_raw_rows
from extune.data.readers.unlabelled import iter_unlabelled
from extune.domain.example import Example
from extune.domain.task import Task


def read_examples(path: Path | str, task: Task | None = None) -> Iterator[Example]:
    """The examples of a file.

    Args:
        path: BIO columns, or rows of named columns.
        task: reads the gold that it asks for. None: the annotation of extune's own rows where the first row has one, or of
            another tool's file; else no gold.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row.
    """
    path = Path(path)
    is_unlabelled = task is None and path.suffix.lower() in SUFFIXES and not _is_labelled(path)
    return iter_unlabelled(path) if is_unlabelled else iter(read_labelled(path, task=task).examples)


def _is_labelled(path: Path) -> bool:
    """Whether the first row has an annotation, or another tool wrote it; a wrong one is left to the reader that names it."""
    codec = find_encoding(path)
    if recognise(path, codec) is not None:
        return True
    first = next(iter_raw_rows(path, codec), None)
    return first is None or isinstance(first, RowError) or not first.values.keys().isdisjoint(ANSWER_KEYS.values())
