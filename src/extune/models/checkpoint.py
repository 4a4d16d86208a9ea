"""Trained weights and their tokenizer in a run directory. In: a trained model. Out: `adapter/` or `model/`, and back.

It knows nothing about training. Everything is safetensors; a folder is complete or absent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.errors import ModelError, RunError
from extune.files import atomic_folder, hash_files
from extune.models.adapters import load_adapter, save_prompt_encoder
from extune.models.base_model import (
    EMBEDDED,
    hash_base,
    hash_tokenizer,
    load_base,
    load_tokenizer,
    resolve_base,
)
from extune.models.pieces import adapter_state, has_trained_pieces
from extune.recipe.hub_name import parse_hub_model
from extune.recipe.sections import BaseSection
from extune.runs.contract import Contract

_SHARD = "4GB"  # of one file of whole weights: what older file systems and hubs still take


def save_weights(model: PreTrainedModel | PeftModel, run: Path, base: BaseSection | None = None) -> str:
    """Write what was trained into the run and say where: `adapter` (PEFT layout) or `model` (Hugging Face layout).

    Args:
        model: as it was trained.
        run: its directory.
        base: that it was trained on; an adapter then names a hub's model instead of this machine's copy.
    """
    if isinstance(model, PeftModel):
        config = model.peft_config["default"]
        if Path(str(config.base_model_name_or_path)) == resolve_base(EMBEDDED):
            config.base_model_name_or_path = EMBEDDED  # the folder of this machine's installation means nothing elsewhere
        elif base is not None and (origin := parse_hub_model(base.model)) is not None:
            config.base_model_name_or_path = origin.repository if origin.hub == "hf" else str(origin)
            config.revision = base.revision
        with atomic_folder(run / "adapter") as folder:
            model.save_pretrained(folder, state_dict=adapter_state(model), save_embedding_layers=False)
            save_prompt_encoder(model, folder)
            (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
        return "adapter"
    with atomic_folder(run / "model") as folder:
        model.save_pretrained(folder, max_shard_size=_SHARD)
    return "model"


def help_to_save_weights(model: PreTrainedModel | PeftModel) -> None:
    """What the other processes do while the first is in `save_weights`: whole weights are gathered from the pieces of all."""
    if has_trained_pieces(model):
        with tempfile.TemporaryDirectory() as nothing:  # transformers writes in the first process alone
            model.save_pretrained(nothing, max_shard_size=_SHARD)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, run: Path) -> None:
    """Write the tokenizer into `run/tokenizer`, and beside whole weights, which are then a base for anyone."""
    with atomic_folder(run / "tokenizer") as folder:
        tokenizer.save_pretrained(folder)
    if (run / "model").is_dir():
        tokenizer.save_pretrained(run / "model")


def load_run_tokenizer(run: Path, contract: Contract) -> PreTrainedTokenizerBase:
    """The run's own tokenizer, checked against the contract.

    Raises:
        RunError: it is missing, corrupted, or not the one that the contract was made with.
    """
    folder = run / "tokenizer"
    if not folder.is_dir():
        raise RunError(
            "the folder tokenizer/ is missing",
            where=str(run),
            expected="a complete run directory",
            fix="copy the run directory again, or train again",
        )
    with _as_run_error():
        tokenizer = load_tokenizer(folder)
        require_tokenizer(tokenizer, contract, str(folder))
    return tokenizer


def load_weights(run: Path, contract: Contract, device: str) -> PreTrainedModel | PeftModel:
    """The run's model on `device`, in evaluation mode; a base is checked against the contract before it is used.

    Raises:
        RunError: the weights are missing, corrupted or not those that the training wrote.
        RecipeError: the base is not on this machine.
        ModelError: the base is not the one that the contract was made with.
    """
    require_unchanged(run, contract)
    if contract.weights == "model":
        if not (run / "model").is_dir():
            raise RunError(
                "the folder model/ is missing",
                where=str(run),
                expected="a complete run directory",
                fix="copy the run directory again, or train again",
            )
        with _as_run_error():
            return load_base(run / "model", contract.dtype, device)
    model = load_base(require_base(contract), contract.dtype, device, contract.quantization)
    return load_adapter(model, run / "adapter").eval() if contract.weights == "adapter" else model


def hash_weights(run: Path, weights: str) -> str:
    """SHA-256 over name, size and SHA-256 of the safetensors files of `run/adapter` or `run/model`, hexadecimal."""
    return hash_files(sorted((run / weights).glob("*.safetensors")))


def require_unchanged(run: Path, contract: Contract) -> None:
    """Raise a RunError where weight files exist and differ from what training wrote; missing ones are named when loaded."""
    if not contract.weights_hash or not any((run / contract.weights).glob("*.safetensors")):
        return
    if hash_weights(run, contract.weights) != contract.weights_hash:
        raise RunError(
            "the weights are not those that the training wrote: a file is damaged or was replaced",
            where=str(run / contract.weights),
            expected=f"files with SHA-256 {contract.weights_hash[:12]}...",
            fix="copy the run directory again, or train again",
        )


def require_base(contract: Contract) -> Path:
    """The folder of the contract's base.

    Raises:
        RecipeError: it is not on this machine.
        ModelError: its weights are not those that the contract was made with.
    """
    folder = resolve_base(contract.base, contract.base_revision, contract.base_endpoint)
    if hash_base(folder) != contract.base_hash:
        raise ModelError(
            f"base {contract.base!r} is not the one that this run was trained on",
            where=str(folder),
            expected=f"weights with SHA-256 {contract.base_hash[:12]}...",
            fix="put the original base back, or train again"
            + (f" (the run was trained with extune {contract.extune_version})" if contract.base == EMBEDDED else ""),
        )
    return folder


def require_tokenizer(tokenizer: PreTrainedTokenizerBase, contract: Contract, where: str) -> None:
    """Raise a ModelError where the tokenizer is not the one that the contract was made with."""
    if hash_tokenizer(tokenizer) != contract.tokenizer_hash:
        raise ModelError(
            "the tokenizer is not the one that this run was trained with",
            where=where,
            expected=f"a tokenizer with SHA-256 {contract.tokenizer_hash[:12]}...",
            fix="copy the run directory again, or train again",
        )


@contextmanager
def _as_run_error() -> Iterator[None]:
    """What is wrong with a model's files is, inside a run directory, wrong with the run."""
    try:
        yield
    except ModelError as error:
        raise RunError(
            error.what, where=error.where, expected=error.expected, fix="copy the run directory again, or train again"
        ) from error
