"""What a conversion will write, known and checked before anything is written.

In: the tensors that files hold, a family and its native config. Out: which native tensors each legacy one becomes. It
reads no weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from extune.errors import ModelError
from extune.models.legacy.family import Family, NativeConfig, Part, refuse
from extune.models.legacy.weights import StoredTensor

Shapes = Mapping[str, tuple[int, ...]]

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """A conversion that was checked.

    Attributes:
        parts: the native modules of each legacy tensor, rows in order.
        files: the legacy files that hold weights.
        ignored: legacy tensors that are no weights.
        shapes: of every native tensor.
        dtype: of the embedding, by name; the config says it.
    """

    parts: Mapping[str, tuple[Part, ...]]
    files: tuple[Path, ...]
    ignored: tuple[str, ...]
    shapes: Shapes
    dtype: str
    bytes: int


def native_shapes(native: NativeConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the native model; nothing is allocated."""
    settings = {key: value for key, value in native.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(native["model_type"], **settings))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def make_plan(tensors: Sequence[StoredTensor], family: Family, native: NativeConfig) -> Plan:
    """The checked plan.

    Raises:
        ModelError: a tensor is unknown, stored twice, quantised, missing, or has another shape than the config says.
    """
    weights = [tensor for tensor in tensors if not family.is_ignored(tensor.name)]
    parts = {tensor.name: _split(tensor.name, family, native) for tensor in weights}
    _require_weights(weights, parts, family)
    expected = native_shapes(native)
    _require_shapes(weights, parts, expected)
    embedding = next(tensor for tensor in weights if parts[tensor.name][0].module == "model.embed_tokens")
    return Plan(
        parts,
        files=tuple(dict.fromkeys(tensor.file for tensor in weights)),
        ignored=tuple(tensor.name for tensor in tensors if family.is_ignored(tensor.name)),
        shapes=expected,
        dtype=str(embedding.dtype).removeprefix("torch."),
        bytes=sum(prod(tensor.shape) * tensor.dtype.itemsize for tensor in weights),
    )


def target_name(tensor: str, part: Part) -> str:
    """The native tensor that gets the rows of `part` of a legacy tensor."""
    return f"{part.module}.{tensor.rpartition('.')[2]}"


def _split(tensor: str, family: Family, native: NativeConfig) -> tuple[Part, ...]:
    module, _, kind = tensor.rpartition(".")
    return family.split_module(module, native) if kind in ("weight", "bias") else ()


def _require_weights(weights: Sequence[StoredTensor], parts: Mapping[str, tuple[Part, ...]], family: Family) -> None:
    unknown = [tensor.name for tensor in weights if not parts[tensor.name]]
    if unknown:
        raise _wrong_tensors(
            f"{len(unknown)} tensors are not part of {family.title}: {_some(unknown)}",
            fix="use the released checkpoint; a quantised, merged or extended one needs the software that made it",
        )
    twice = [name for name, count in Counter(tensor.name for tensor in weights).items() if count > 1]
    if twice:
        raise _wrong_tensors(f"{len(twice)} tensors are stored twice: {_some(twice)}", fix="keep the files of one checkpoint")
    coded = sorted({str(tensor.dtype) for tensor in weights if tensor.dtype not in _DTYPES})
    if coded:
        raise _wrong_tensors(
            f"weights of type {', '.join(coded)}: the checkpoint is quantised",
            fix="convert the unquantised release of the same model",
        )


def _require_shapes(weights: Sequence[StoredTensor], parts: Mapping[str, tuple[Part, ...]], expected: Shapes) -> None:
    """Every native tensor is produced once, in its shape."""
    produced: dict[str, tuple[int, ...]] = {}
    for tensor in weights:
        split = parts[tensor.name]
        rows = sum(part.rows or 0 for part in split)
        if rows and (not tensor.shape or tensor.shape[0] != rows):
            raise _wrong_tensors(
                f"{tensor.name} has shape {list(tensor.shape)}, the config says {rows} rows",
                fix="copy config.json and weights of the same checkpoint",
            )
        for part in split:
            shape = tensor.shape if part.rows is None else (part.rows, *tensor.shape[1:])
            produced[target_name(tensor.name, part)] = shape
    missing = [name for name in expected if name not in produced]
    surplus = [name for name in produced if name not in expected]
    if missing or surplus:
        found = [f"{len(missing)} missing: {_some(missing)}"] * bool(missing) + [
            f"{len(surplus)} too many: {_some(surplus)}"
        ] * bool(surplus)
        raise _wrong_tensors("native tensors " + "; ".join(found), fix="copy all weight files of the checkpoint")
    wrong = [name for name in expected if produced[name] != expected[name]]
    if wrong:
        shapes = [f"{name} {list(produced[name])} instead of {list(expected[name])}" for name in wrong]
        raise _wrong_tensors(
            f"shapes differ from the config: {_some(shapes)}", fix="copy config.json and weights of the same checkpoint"
        )


def _wrong_tensors(what: str, *, fix: str) -> ModelError:
    return refuse(what, where="weights", expected="exactly the tensors that config.json describes", fix=fix)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
