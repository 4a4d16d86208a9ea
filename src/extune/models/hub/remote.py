"""What a hub has of a model, and which of it a base needs. In: file names. Out: the ones to fetch. It opens no connection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from extune.errors import ModelError

_SETTINGS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "qwen.tiktoken",
    }
)
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
_PICKLES = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?")
_SHOWN = 6


@dataclass(frozen=True)
class RemoteFile:
    """A file of a model.

    Attributes:
        name: relative to the model's folder.
        url: where its bytes are.
        size: in bytes; None where the hub does not say.
        sha256, git_sha1: of its content, hexadecimal; git's has the length in front. None where the hub does not say.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """All files of one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


def choose_files(snapshot: Snapshot, model: str) -> tuple[RemoteFile, ...]:
    """What a base needs: settings, tokenizer and one set of weights; small files first. Code is never among them.

    Raises:
        ModelError: there is no config.json, or there are no weights that could be read.
    """
    settings = [file for file in snapshot.files if file.name in _SETTINGS]
    weights = [file for file in snapshot.files if _SAFETENSORS.fullmatch(file.name)] or [
        file for file in snapshot.files if _PICKLES.fullmatch(file.name)
    ]
    has_config = any(file.name == "config.json" for file in settings)
    if not has_config or not any(not file.name.endswith(".json") for file in weights):
        raise ModelError(
            f"the model has no {'weights' if has_config else 'config.json'}; it has {_name_some(snapshot.files)}",
            where=model,
            expected="config.json and model*.safetensors (or, of a legacy checkpoint, pytorch_model*.bin) at its top",
            fix="name the repository of the original weights: GGUF, GPTQ and adapter repositories are none",
        )
    return tuple(settings + weights)


def _name_some(files: Sequence[RemoteFile]) -> str:
    names = sorted(file.name for file in files)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) + more) or "no files"
