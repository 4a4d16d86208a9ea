"""Reading, hashing and atomic writing of files. It knows nothing about what the files mean."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from extune.errors import DataError

_CANDIDATE_ENCODINGS = ("utf-8", "gb18030")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed, on error removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` that takes its place on success and is removed on error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with newline line ends on every platform."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically, keys in the given order, Chinese as itself."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> str:
    """SHA-256 over name, size and SHA-256 of each file, in the given order, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {path.stat().st_size} {hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, hexadecimal; lone surrogates are hashed as such."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def detect_encoding(path: Path) -> str:
    """`utf-8`, `utf-8-sig`, `utf-16` or `gb18030`: the first that decodes the whole file.

    Raises:
        DataError: the file is missing, a folder, or decodes as none of them.
    """
    require_file(path)
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(codecs.BOM_UTF8):
        require_decodable(path, "utf-8-sig")
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in _CANDIDATE_ENCODINGS:
        if _decodes(path, encoding) is None:
            return encoding
    position = _decodes(path, "utf-8")
    raise DataError(
        f"byte {position} is neither UTF-8 nor GB18030 text",
        where=str(path),
        expected="a text file in UTF-8 (or GB18030, detected automatically)",
        fix="convert the file to UTF-8, or set data.encoding to its encoding",
    )


def require_file(path: Path) -> None:
    """Raise a DataError where `path` is not an existing file."""
    if path.is_dir():
        raise DataError("is a folder", where=str(path), expected="a file", fix="name a file inside it")
    if not path.exists():
        raise DataError(
            "file not found",
            where=str(path),
            expected=f"a readable file (paths are relative to {Path.cwd().name or '/'}/, the current folder)",
            fix="check the path",
        )


def read_text(path: Path, encoding: str | None = None) -> str:
    """The file's text without byte order mark; line ends are kept as they are.

    Args:
        path: of an existing file.
        encoding: None detects UTF-8 (with or without mark), UTF-16 with mark and GB18030.
    """
    chosen = encoding or detect_encoding(path)
    require_file(path)
    require_decodable(path, chosen)
    return path.read_bytes().decode(chosen)


def require_decodable(path: Path, encoding: str) -> None:
    """Raise a DataError where `encoding` is no codec, or the file is not text in it."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(
            f"unknown encoding {encoding!r}", where=str(path), expected="a Python codec name", fix="use utf-8"
        ) from None
    position = _decodes(path, encoding)
    if position is not None:
        raise DataError(
            f"byte {position} is not valid {encoding}",
            where=str(path),
            expected=f"text in {encoding}",
            fix="convert the file to UTF-8, or set data.encoding to its encoding",
        )


def _decodes(path: Path, encoding: str) -> int | None:
    """None where the whole file decodes, else the offset in bytes near which it does not."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return offset + error.start
            if not block:
                return None
            offset += len(block)
