"""The note that a converted folder carries: what it was, and its limits. In: a conversion. Out: conversion.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from extune.files import write_json
from extune.models.legacy.family import read_settings, refuse
from extune.runs.manifest import installed_version

_FILE = "conversion.json"


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        source: name of the legacy folder.
        family: one of `FAMILIES`.
        architecture: the native class.
        source_hash: SHA-256 over config.json and weight files of the source.
        tensors: native tensors written.
        ignored_tensors: legacy tensors that are no weights.
        limits: where the native model does not do as the original did.
    """

    source: str
    family: str
    architecture: str
    source_hash: str
    tensors: int
    ignored_tensors: tuple[str, ...]
    limits: tuple[str, ...]


def write_note(folder: Path, conversion: Conversion) -> None:
    """Write the note into a converted folder."""
    write_json(folder / _FILE, {**asdict(conversion), "extune_version": installed_version("extune")})


def read_family_name(folder: Path) -> str:
    """The family of a converted folder.

    Raises:
        ModelError: it was not converted by extune.
    """
    name = read_settings(folder / _FILE).get("family")
    if not isinstance(name, str):
        raise refuse(
            f"no {_FILE}: this is no converted base",
            where=str(folder),
            expected="the base on which the adapter was trained, legacy or converted by extune",
            fix="--base with that folder",
        )
    return name
