"""Encoded rows on disk: an Arrow file, mapped into memory, under a key of everything that shapes them.

In: a folder, a key and encoded batches. Out: rows that read like a list of `EncodedRow`, and a summary that was kept with them.
A file that is damaged or belongs to another key is made again. It knows nothing about raw files, models and training.

A store is a folder `KEY/` with `rows.arrow`, `lengths.bin` and `store.json`, complete or absent. Stores can be deleted at any
time; those that were not used for longest are deleted when all together take more than `MOST_BYTES`.
"""

from __future__ import annotations

import array
import json
import logging
import os
import platform
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout

from extune.errors import TrainingError
from extune.files import atomic_folder, hash_file, hash_files, hash_text, write_json
from extune.runs.contract import Contract
from extune.runs.manifest import installed_version
from extune.tokens.encode import EncodedRow
from extune.tokens.lengths import LengthReport

MOST_BYTES = 20 << 30
"""Of all stores together."""

_LOG = logging.getLogger(__name__)
_ROWS, _LENGTHS, _ABOUT = "rows.arrow", "lengths.bin", "store.json"
_SHAPING_CODE = (
    *("data", "domain", "prompts", "recipe", "tokens", "files.py", "runs/contract.py"),
    *("evaluation/lookups.py", "predicting/encoding.py", "predicting/look_up.py"),
)
_SHAPING_LIBRARIES = ("transformers", "tokenizers", "jinja2", "pydantic", "pyyaml", "pyarrow")
_NOT_SHAPING = frozenset(
    {"name", "base", "base_revision", "base_endpoint", "base_hash", "dtype", "quantization", "weights", "weights_hash"}
    | {"continued_from"}
)  # of a contract
_ABANDONED = 86_400  # seconds after which what an interrupted writer left is deleted
_SCHEMA = pa.schema(
    {
        "example_id": pa.binary(),  # UTF-8; texts of JSON may hold lone surrogates, which Arrow's strings refuse
        "ids": pa.list_(pa.int32()),
        "prompt_length": pa.int32(),
        "text": pa.binary(),
        "offset": pa.int32(),
    }
)


@dataclass(frozen=True)
class EncodedBatch:
    """What a few examples became.

    Attributes:
        rows: an Arrow record batch, from `pack_rows`.
        lengths: what became of the examples.
        counts: numbers that are summed up over all batches.
    """

    rows: Any
    lengths: LengthReport
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """`lengths` and `counts` of all batches."""

    lengths: LengthReport
    counts: Mapping[str, int]


Describe = Callable[[Totals], Mapping[str, Any]]
"""Called when all batches are written: what is kept with the rows, ready for JSON. It may raise, and nothing is kept."""


class _Columns(NamedTuple):
    """One record batch, its numbers as NumPy views of the mapped file."""

    batch: Any
    starts: np.ndarray[Any, Any]
    ids: np.ndarray[Any, Any]
    prompt_lengths: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]


class TokenStore(Sequence[EncodedRow]):
    """The rows of a file, each made when it is asked for; opening it looks at no row.

    Args:
        folder: written by `write_store`.
        parts: rows of each record batch.
        summary: what was kept with the rows.
    """

    def __init__(self, folder: Path, parts: Sequence[int], summary: Mapping[str, Any]) -> None:
        self.folder, self.summary = folder, summary
        self.lengths = array.array("i", (folder / _LENGTHS).read_bytes())
        self._starts = [0, *accumulate(parts)]
        self._reader = pa.ipc.open_file(pa.memory_map(str(folder / _ROWS)))
        self._parts: dict[int, _Columns] = {}
        if len(self.lengths) != len(self) or self._reader.num_record_batches != len(parts):
            raise ValueError("its files do not belong together")

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> EncodedRow: ...
    @overload
    def __getitem__(self, at: slice) -> list[EncodedRow]: ...
    def __getitem__(self, at: int | slice) -> EncodedRow | list[EncodedRow]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        number = at + len(self) if at < 0 else at
        if not 0 <= number < len(self):
            raise IndexError(f"row {at} of {len(self)}")
        part_number = bisect_right(self._starts, number) - 1
        part, row = self._part(part_number), number - self._starts[part_number]
        return EncodedRow(
            example_id=_to_text(part.batch.column(0)[row].as_py()),
            ids=tuple(part.ids[part.starts[row] : part.starts[row + 1]].tolist()),
            prompt_length=int(part.prompt_lengths[row]),
            text=_to_text(part.batch.column(3)[row].as_py()),
            offset=int(part.offsets[row]),
        )

    def _part(self, number: int) -> _Columns:
        if number not in self._parts:
            self._parts[number] = _view(self._reader.get_batch(number))
        return self._parts[number]


def row_lengths(rows: Sequence[EncodedRow]) -> Sequence[int]:
    """Tokens of each row; of a store without making the rows."""
    return rows.lengths if isinstance(rows, TokenStore) else [len(row.ids) for row in rows]


def store_root() -> Path:
    """Where stores are kept; only the user may look into it, for token ids are texts."""
    return Path.home() / ".cache" / "extune" / "tokens"


def build_key(contract: Contract, tokenizer_files: Iterable[Path], data: Mapping[str, Any]) -> str:
    """SHA-256 over everything that shapes rows.

    Args:
        contract: task, format with its version, template, budgets, tokenizer; what it says of weights does not count.
        tokenizer_files: of the base.
        data: bytes and reading of the raw data, ready for JSON.
    """
    parts = {
        "contract": contract.model_dump(mode="json", exclude=set(_NOT_SHAPING)),
        "tokenizer": hash_files(sorted(tokenizer_files)),
        "data": dict(data),
        "code": _hash_code(),
        "python": platform.python_version(),
        "libraries": {name: installed_version(name) for name in _SHAPING_LIBRARIES},
    }
    return hash_text(json.dumps(parts, ensure_ascii=False, sort_keys=True))


@lru_cache(maxsize=1)
def _hash_code() -> str:
    """Of the sources of the rooms that shape rows: another version of extune never takes the rows of this one."""
    home = Path(__file__).parents[1]
    found = [
        file for name in _SHAPING_CODE for file in ([home / name] if name.endswith(".py") else (home / name).rglob("*.py"))
    ]
    return hash_text("\n".join(f"{file.relative_to(home).as_posix()} {hash_file(file)}" for file in sorted(found)))


def open_store(
    root: Path, key: str, batches: Callable[[], Iterable[EncodedBatch]], describe: Describe
) -> tuple[TokenStore, bool]:
    """The rows under a key, encoded and written where they are not there whole; and whether they were there.

    Of several processes that want the same rows one writes them, and the others wait for it.

    Args:
        root: holds all stores; from `store_root`.
        key: from `build_key`.
        batches: encodes all rows, called only where they are needed.
        describe: makes the summary.

    Raises:
        TrainingError: the disk is full, or cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = root / key
    with FileLock(_lock_of(folder)):
        found = _find(folder, key)
        if found is not None:
            os.utime(folder)
            return found, True
        try:
            write_store(folder, key, batches(), describe)
        except OSError as error:
            raise TrainingError(
                f"training rows cannot be written: {error.strerror or error}",
                where=str(root),
                expected="room for about eight bytes per token",
                fix="make room, or data.cache=false, which keeps the rows in memory",
            ) from error
        written = _find(folder, key)
    if written is None:
        raise TrainingError(
            "what was just written cannot be read again",
            where=str(folder),
            expected="a disk that keeps what is written",
            fix="check the disk, or data.cache=false, which keeps the rows in memory",
        )
    _delete_oldest(root, keep=folder)
    return written, False


def write_store(folder: Path, key: str, batches: Iterable[EncodedBatch], describe: Describe) -> None:
    """Write a store; the folder is there whole or not at all."""
    with atomic_folder(folder) as growing:
        totals, parts = _write_rows(growing, batches)
        about = {"key": key, "sha256": _hash_rows(growing), "parts": parts, "summary": describe(totals)}
        write_json(growing / _ABOUT, about)


def pack_rows(rows: Sequence[EncodedRow]) -> Any:
    """Rows as an Arrow record batch."""
    starts = np.fromiter(accumulate((len(row.ids) for row in rows), initial=0), dtype=np.int32, count=len(rows) + 1)
    ids = np.fromiter(chain.from_iterable(row.ids for row in rows), dtype=np.int32, count=int(starts[-1]))
    columns = [
        pa.array([_to_bytes(row.example_id) for row in rows], pa.binary()),
        pa.ListArray.from_arrays(pa.array(starts), pa.array(ids)),
        pa.array([row.prompt_length for row in rows], pa.int32()),
        pa.array([_to_bytes(row.text) for row in rows], pa.binary()),
        pa.array([row.offset for row in rows], pa.int32()),
    ]
    return pa.record_batch(columns, schema=_SCHEMA)


def _write_rows(folder: Path, batches: Iterable[EncodedBatch]) -> tuple[Totals, list[int]]:
    """Write all rows and their lengths; what there is to say of them, and the rows of each record batch."""
    kept, counts, parts = 0, dict[str, int](), list[int]()
    dropped, windowed, shortened = list[str](), list[str](), list[str]()
    with (
        (folder / _LENGTHS).open("wb") as lengths,
        pa.OSFile(str(folder / _ROWS), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA) as writer,
    ):
        for batch in batches:
            if batch.rows.num_rows:
                writer.write_batch(batch.rows)
                lengths.write(np.diff(batch.rows.column(1).offsets.to_numpy()).astype(np.intc).tobytes())
                parts.append(batch.rows.num_rows)
            kept += batch.lengths.kept
            dropped += batch.lengths.dropped
            windowed += batch.lengths.windowed
            shortened += batch.lengths.shortened
            for name, count in batch.counts.items():
                counts[name] = counts.get(name, 0) + count
    return Totals(LengthReport(kept, tuple(dropped), tuple(windowed), tuple(shortened)), counts), parts


def _hash_rows(folder: Path) -> str:
    return hash_files([folder / _ROWS, folder / _LENGTHS])


def _find(folder: Path, key: str) -> TokenStore | None:
    """The store in a folder; None, said in the log, where something is wrong with it."""
    if not folder.is_dir():
        return None
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if about["key"] != key:
            raise ValueError("it belongs to another key")
        if about["sha256"] != _hash_rows(folder):
            raise ValueError(f"{_ROWS} is not what was written")
        return TokenStore(folder, about["parts"], about["summary"])
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's errors are ValueErrors
        _LOG.warning("%s: stored training rows are damaged (%s: %s); making them again", folder, type(error).__name__, error)
        return None


def _delete_oldest(root: Path, keep: Path) -> None:
    """Delete what was not used for longest until all fits into `MOST_BYTES`, and what interrupted writers left."""
    sizes = dict[Path, int]()
    for folder in root.iterdir():
        if not folder.is_dir():
            continue
        states = [file.stat() for file in folder.iterdir()]
        if folder.name.startswith(".") and all(time.time() - state.st_mtime > _ABANDONED for state in states):
            shutil.rmtree(folder, ignore_errors=True)
        elif not folder.name.startswith("."):
            sizes[folder] = sum(state.st_size for state in states)
    total = sum(sizes.values())
    for folder in sorted(sizes, key=lambda folder: folder.stat().st_mtime):
        if total <= MOST_BYTES or folder == keep:
            continue
        try:
            with FileLock(_lock_of(folder), timeout=0):
                shutil.rmtree(folder)
                Path(_lock_of(folder)).unlink(missing_ok=True)
        except (Timeout, OSError) as error:  # it is being opened, or mapped on a system that keeps such files
            _LOG.warning("%s: unused training rows cannot be deleted: %s", folder, error)
            continue
        total -= sizes[folder]


def _lock_of(folder: Path) -> str:
    return f"{folder}.lock"


def _view(batch: Any) -> _Columns:
    ids = batch.column(1)
    return _Columns(
        batch,
        ids.offsets.to_numpy(),
        ids.values.to_numpy(),
        batch.column(2).to_numpy(),
        batch.column(4).to_numpy(),
    )


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
