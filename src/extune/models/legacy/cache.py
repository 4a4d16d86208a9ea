"""Legacy checkpoints that a recipe names: converted once, kept under the hash of their content.

In: the folder that a base name was resolved to. Out: a folder that can be loaded. It does not know where folders come from.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from extune.files import hash_files, hash_text
from extune.models.legacy.convert import convert_base
from extune.models.legacy.recognise import is_legacy, recognise
from extune.models.legacy.weights import find_weight_files

_LOG = logging.getLogger(__name__)
_CONVERTER = "1"  # raised whenever a conversion would write something else
_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "tokenizer.model",
    "qwen.tiktoken",
)


def cache_root() -> Path:
    """Where converted checkpoints are kept; they can be deleted at any time."""
    return Path.home() / ".cache" / "extune" / "bases"


def native_folder(folder: Path, name: str | None = None) -> Path:
    """`folder` itself, or for a legacy checkpoint the folder of its conversion, which is made where there is none yet.

    Args:
        folder: as it was released.
        name: of the checkpoint, for the conversion's; None: the folder's.

    Raises:
        ModelError: a legacy checkpoint that cannot be represented exactly.
    """
    if not is_legacy(folder):
        return folder
    family, _ = recognise(folder)
    converted = cache_root() / f"{name or folder.resolve().name}-{_hash_content(folder)[:16]}"
    if not converted.is_dir():
        _LOG.warning("%s is a %s checkpoint; converting it, once, into %s", folder, family.title, converted)
        for limit in convert_base(folder, converted).limits:
            _LOG.warning("%s: %s", family.title, limit)
    return converted


def _hash_content(folder: Path) -> str:
    files = [folder / name for name in _FILES if (folder / name).is_file()] + find_weight_files(folder)
    states = tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return hash_text(f"{_CONVERTER} {_hash_states(states)}")


@lru_cache(maxsize=16)
def _hash_states(states: tuple[tuple[Path, int, int], ...]) -> str:
    """Hash of files' contents, computed once for each state: a command asks for its base several times."""
    return hash_files(file for file, _, _ in states)
