"""Any file of examples, labelled or not, for programs that use extune. In: a path. Out: examples, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from extune.data.readers import read_examples as read_labelled
from extune.data.readers.annotated import ANSWER_KEYS
from extune.data.readers.base import numbered_lines
from extune.data.readers.unlabelled import iter_unlabelled
from extune.domain.example import Example
from extune.files import read_text

_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")


def read_examples(path: Path | str) -> Iterator[Example]:
    """The examples of a file: with gold from BIO columns and from JSONL with an annotation, without from other JSONL and CSV.

    Raises:
        DataError: the file is missing, empty or not text, or has a wrong row.
    """
    path = Path(path)
    is_unlabelled = path.suffix.lower() == ".csv" or (path.suffix.lower() in _JSON_SUFFIXES and not _is_labelled(path))
    return iter_unlabelled(path) if is_unlabelled else iter(read_labelled(path).examples)


def _is_labelled(path: Path) -> bool:
    """Whether the first row has an annotation; one that is no JSON is left to the reader of labelled files, which names it."""
    first = next((line for _, line in numbered_lines(read_text(path)) if line.strip()), "")
    try:
        row = json.loads(first)
    except ValueError:
        return True
    return not isinstance(row, dict) or not row.keys().isdisjoint(ANSWER_KEYS.values())
