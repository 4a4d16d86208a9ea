"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.task import ExtractionTask
from extune.models.base_model import EMBEDDED, load_base, load_tokenizer, resolve_base
from extune.predicting import training_rows
from extune.predicting.draft import draft_contract
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract

ContractMaker = Callable[..., Contract]

torch.set_num_threads(1)  # tests run in two processes


@pytest.fixture(scope="session", autouse=True)
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Training rows of tests are not kept where the user's are."""
    folder = tmp_path_factory.mktemp("stores") / "tokens"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_rows, "store_root", lambda: folder)
        yield folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; absent for a user who clones the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """The embedded base's tokenizer."""
    return load_tokenizer(resolve_base(EMBEDDED))


@pytest.fixture(scope="session")
def base_model() -> PreTrainedModel:
    """The embedded base in float32. Shared by all tests: none may change it."""
    return load_base(resolve_base(EMBEDDED), "float32", "cpu")


@pytest.fixture(scope="session")
def make_contract(tokenizer: PreTrainedTokenizerBase) -> ContractMaker:
    """Makes the contract of the untrained embedded base for two types, with any entry changed."""
    recipe = Recipe(task=ExtractionTask(types={"药": "单味药材", "症": ""}))
    contract = draft_contract(recipe, resolve_base(EMBEDDED), tokenizer, dtype="float32")

    def make(**changes: Any) -> Contract:
        return contract.model_copy(update=changes)

    return make
