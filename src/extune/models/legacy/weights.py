"""Weight files of legacy checkpoints: found, listed without reading the weights, read one file at a time.

In: a folder. Out: names, shapes and tensors as they are stored. `.bin` files are read with `weights_only=True`, which runs
nothing. It knows nothing about architectures.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open

from extune.models.legacy.family import refuse

_KINDS = (("model", ".safetensors"), ("pytorch_model", ".bin"))


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path


def find_weight_files(folder: Path) -> list[Path]:
    """The weight files of `folder` in their order, safetensors where there are both kinds.

    Raises:
        ModelError: there are none, or one that the index names is missing.
    """
    for stem, suffix in _KINDS:
        index = folder / f"{stem}{suffix}.index.json"
        files = _files_of_index(index) if index.is_file() else sorted(folder.glob(f"{stem}*{suffix}"))
        if files:
            return files
    raise refuse(
        "no weights",
        where=str(folder),
        expected="model*.safetensors or pytorch_model*.bin",
        fix="copy all files of the checkpoint into the folder",
    )


def list_tensors(files: list[Path]) -> list[StoredTensor]:
    """Everything that the files hold, without reading weights.

    Raises:
        ModelError: a file is damaged or holds anything but tensors.
    """
    return [
        StoredTensor(name, tuple(tensor.shape), tensor.dtype, file)
        for file in files
        for name, tensor in read_weights(file)
    ]  # fmt: skip


def read_weights(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors of one file. They stay on disk until they are used, as far as the file's format allows.

    Raises:
        ModelError: the file is damaged or holds anything but tensors.
    """
    try:
        yield from _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickled(file)
    except (SafetensorError, OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise refuse(
            f"cannot be read: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}",
            where=str(file),
            expected="an intact file of nothing but tensors",
            fix="copy the file again from its origin; a few hundred bytes of text stand for a file that was not downloaded",
        ) from error


def _files_of_index(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise refuse(
            f"is no index of weight files: {error}",
            where=str(index),
            expected="the index that was released with the weights",
            fix="copy the file again from its origin",
        ) from error
    files = [index.parent / name for name in names]
    missing = [file.name for file in files if Path(file.name) != file.relative_to(index.parent) or not file.is_file()]
    if missing:
        raise refuse(
            f"{len(missing)} of {len(files)} weight files are missing: {', '.join(missing)}",
            where=str(index.parent),
            expected=f"every file that {index.name} names",
            fix="copy the missing files from the origin of the checkpoint",
        )
    return files


def _read_safetensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    with safe_open(file, framework="pt") as stored:
        for name in sorted(stored.keys()):
            yield name, stored.get_tensor(name)


def _read_pickled(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    # Files of PyTorch before 1.6 are no zip archives and can only be read as a whole.
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    if not isinstance(content, Mapping):
        raise RuntimeError(f"it holds a {type(content).__name__} instead of named tensors")
    for name in sorted(content):
        if not isinstance(content[name], torch.Tensor):
            raise RuntimeError(f"{name!r} is a {type(content[name]).__name__} instead of a tensor")
        yield name, content[name].detach()
