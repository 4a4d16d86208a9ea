"""Training rows of a recipe, from its raw file to token ids: out of the token store where they are there, else encoded into it.

In: a recipe, a contract and a tokenizer; or examples. Out: rows, and what the manifest says of the data. It loads no model.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from extune.data.split_reading import SplitReading
from extune.data.splits import find_shape
from extune.domain.example import Example
from extune.errors import DataError
from extune.files import hash_files
from extune.predicting.encoding import BatchEncoder
from extune.recipe.sections import DataSection, Recipe
from extune.runs.manifest import SplitProvenance, hash_data, list_skips
from extune.tokens.encode import EncodedRow
from extune.tokens.encoding_processes import encode_batches, usable_processes
from extune.tokens.token_store import Totals, build_key, open_store, store_root

_LOG = logging.getLogger(__name__)
_TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab*", "merges.txt")


@dataclass(frozen=True)
class TrainingRows:
    """Rows and where they come from.

    Attributes:
        rows: in the order of the examples.
        provenance: of the data.
        store: folder of the token store; None where the rows are in memory.
        reused: they were in the store already.
    """

    rows: Sequence[EncodedRow]
    provenance: SplitProvenance
    store: Path | None = None
    reused: bool = False


def encode_examples(examples: Sequence[Example], encoder: BatchEncoder) -> TrainingRows:
    """Rows in memory, of examples that are in memory.

    Raises:
        ExtuneError: as `Encoder.encode_rows`.
    """
    rows, totals = encoder.encode(examples)
    return TrainingRows(rows, SplitProvenance(file=None, sha256=None, **_count(totals)))


def prepare_rows(recipe: Recipe, encoder: BatchEncoder, base: Path, root: Path | None = None) -> TrainingRows:
    """The rows of `data.train`.

    Args:
        recipe: of which the `data` section and the task count.
        encoder: of the contract that training obeys.
        base: folder of the base.
        root: holds the stores; None: `store_root()`.

    Raises:
        DataError: as reading and encoding; or the data changed while they were read.
        TrainingError: the store cannot be written.
    """
    reading = SplitReading(recipe.data, "train", recipe.task)
    root = store_root() if root is None else root
    if not recipe.data.cache or not _is_writable(root):
        rows, totals = encoder.encode(list(reading))
        return TrainingRows(rows, _describe(reading, hash_data(reading.path), totals))
    fingerprint = _fingerprint(recipe.data, reading.path)
    sha256 = hash_data(reading.path)

    def describe(totals: Totals) -> dict[str, Any]:
        if _fingerprint(recipe.data, reading.path) != fingerprint:
            raise DataError(
                "changed while it was read",
                where=str(reading.path),
                expected="a file that nobody writes to",
                fix="start again when the file is complete",
            )
        return asdict(_describe(reading, sha256, totals))

    files = [file for pattern in _TOKENIZER_FILES for file in base.glob(pattern)]
    key = build_key(encoder.contract, files, fingerprint)
    store, reused = open_store(root, key, partial(_encode, reading, encoder), describe)
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in store.summary.items()}
    provenance = SplitProvenance(**values | {"file": reading.file})
    return TrainingRows(store, provenance, store.folder, reused)


def _encode(reading: SplitReading, encoder: BatchEncoder) -> Iterable[Any]:
    return encode_batches(reading, encoder, usable_processes())


def _fingerprint(data: DataSection, path: Path) -> dict[str, Any]:
    """Everything about the raw data that shapes rows: bytes, names of files (ids begin with them), and how they are read."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = [file.relative_to(path).as_posix() for file in files]
    else:
        beside = [path.with_suffix(suffix) for suffix in (".txt", ".ann")]  # a document of brat is two files
        files = [path, *(file for file in beside if file != path and file.is_file())]
        names = [file.name for file in files]
    return {
        "bytes": hash_files(files),
        "names": [path.name, *names],
        "section": data.model_dump(mode="json", exclude={"train", "dev", "test", "cache"}),
        "shape": repr(find_shape(data, "train")),
    }


def _is_writable(root: Path) -> bool:
    """Whether stores can be kept; where not, that is said, for rows in memory need more of it."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        _LOG.warning("training rows are kept in memory: %s cannot be made (%s)", root, error.strerror)
        return False
    if not os.access(root, os.W_OK):
        _LOG.warning("training rows are kept in memory: %s cannot be written", root)
        return False
    return True


def _describe(reading: SplitReading, sha256: str | None, totals: Totals) -> SplitProvenance:
    return SplitProvenance(
        file=reading.file,
        sha256=sha256,
        encoding=reading.encoding,
        notes=reading.notes,
        skipped=reading.skipped,
        skipped_rows=list_skips([(row.line, row.reason) for row in reading.first_skipped]),
        **_count(totals),
    )


def _count(totals: Totals) -> dict[str, Any]:
    lengths = totals.lengths
    return {
        **totals.counts,
        "dropped": lengths.dropped,
        "windowed": lengths.windowed,
        "shortened": lengths.shortened,
    }
