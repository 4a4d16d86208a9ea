"""Golden checkpoints of the original code, each converted once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.models.legacy.golden_models import Converted, Golden
from transformers import PreTrainedTokenizerBase

from extune.models.base_model import load_tokenizer
from extune.models.legacy.convert import convert_base


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """What the original implementations computed; absent for a user who clones the project."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "legacy"
    if not folder.is_dir():
        pytest.skip("the golden legacy checkpoints (../shared/fixtures/legacy) are not here")
    return folder


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> Golden:
    """Reads a golden JSON or safetensors file of a family."""

    def read(family: str, name: str) -> Any:
        path = golden_folder / family / name
        return load_file(path) if path.suffix == ".safetensors" else json.loads(path.read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def converted(golden_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The native folder of a golden checkpoint. Shared by all tests: none may change it."""
    done: dict[tuple[str, str], Path] = {}

    def convert(family: str, kind: str = "bin") -> Path:
        if (family, kind) not in done:
            out = tmp_path_factory.mktemp("native") / f"{family}-{kind}"
            convert_base(golden_folder / family / f"checkpoint_{kind}", out)
            done[family, kind] = out
        return done[family, kind]

    return convert


@pytest.fixture(scope="session")
def native_tokenizer(converted: Converted) -> Callable[[str], PreTrainedTokenizerBase]:
    """The tokenizer of a converted golden checkpoint."""
    done: dict[str, PreTrainedTokenizerBase] = {}

    def load(family: str) -> PreTrainedTokenizerBase:
        if family not in done:
            done[family] = load_tokenizer(converted(family))
        return done[family]

    return load
