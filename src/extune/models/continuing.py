"""A training that goes on from an earlier run's weights. In: that run, the new recipe and contract. Out: a model to train.

The new run needs its base and nothing of the earlier one: an adapter goes on as the same adapter, whole weights as such.
"""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel

from extune.errors import RecipeError
from extune.models.adapters import add_adapter, continue_adapter
from extune.models.base_model import load_base
from extune.models.checkpoint import require_unchanged
from extune.models.quantize import require_whole
from extune.recipe.adapters import AdapterSection
from extune.runs.contract import Contract
from extune.runs.run_dir import RunDir

_KEY = "base.adapter"


def start_model(
    section: AdapterSection, base: Path, contract: Contract, device: str, earlier: RunDir | None, pieces: int = 1
) -> PreTrainedModel | PeftModel:
    """The model that training begins with.

    Args:
        section: the method.
        base: folder of the base.
        contract: of the new run: its dtype, its quantization and the hash of its base.
        device: from `choose_device`.
        earlier: the run to go on from; None begins anew.
        pieces: processes among which the base's weights are divided.

    Raises:
        RunError: the earlier run is unfinished or damaged.
        RecipeError: its base or its method is another one, or its weights are quantised.
    """
    if earlier is None:
        return add_adapter(load_base(base, contract.dtype, device, contract.quantization, pieces), section)
    before = earlier.contract()
    _require_same_base(earlier, before, contract)
    _require_same_kind(earlier, before, section)
    require_unchanged(earlier.path, before)
    if section.writes_model:
        require_whole(earlier.path / "model", _KEY)
        return add_adapter(load_base(earlier.path / "model", contract.dtype, device, pieces=pieces), section)
    model = load_base(base, contract.dtype, device, contract.quantization, pieces)
    return continue_adapter(model, section, earlier.path / "adapter")


def _require_same_base(earlier: RunDir, before: Contract, contract: Contract) -> None:
    if (before.base_hash, before.tokenizer_hash) == (contract.base_hash, contract.tokenizer_hash):
        return
    raise RecipeError(
        f"the run {earlier.path} was trained on base {before.base!r}, which is not this recipe's {contract.base!r}",
        where=_KEY,
        expected="a run of the same base",
        fix=f"base.model={before.base}, or leave {_KEY} out",
    )


def _require_same_kind(earlier: RunDir, before: Contract, section: AdapterSection) -> None:
    """An adapter cannot go on as whole weights, nor whole weights as an adapter that needs nothing but the base."""
    if section.writes_model == (before.weights == "model"):
        return
    holds = "whole weights" if before.weights == "model" else "an adapter"
    merged = earlier.path / "variants" / "merged"
    fix = (
        f"base.model={earlier.path / 'model'} without {_KEY}: its weights become the base"
        if before.weights == "model"
        else f"extune merge {earlier.path}, then {_KEY}={merged}"
    )
    raise RecipeError(
        f"the run {earlier.path} holds {holds}, and adapter.method: {section.method} trains the other kind",
        where=_KEY,
        expected="a run of a method that goes on: an adapter for an adapter, whole weights for full and freeze",
        fix=fix,
    )
