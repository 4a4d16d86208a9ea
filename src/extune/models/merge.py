"""An adapter becomes part of its base's weights, and the proof that nothing else happened.

In: a run with an adapter. Out: whole weights; how far two models' logits are apart. It knows nothing about text and tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import PreTrainedModel

from extune.errors import ModelError, RunError
from extune.models.adapters import load_adapter
from extune.models.base_model import load_base
from extune.models.checkpoint import require_base, require_unchanged
from extune.runs.contract import Contract

MOST_DIFFERENCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""Largest relative distance between merged and unmerged logits, by the coarser dtype of the two."""

SHARE_OF_EFFECT = 0.25
"""The distance must also be below this share of what the adapter does to the logits: twice or half of it is no rounding."""

_ROUNDING = 1e-5  # relative distance that sums in another order make in float32, also where an adapter does nothing

_POSITIONS = 16  # of each prompt, counted from its end: all of them would be gigabytes with a large vocabulary


@dataclass(frozen=True)
class Agreement:
    """How far merged weights are from what they were merged from, both as relative distances of logits.

    Attributes:
        difference: between merged and unmerged.
        effect: between unmerged and bare base.
        tolerance: that the difference may not exceed.
    """

    difference: float
    effect: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """True where rounding explains the difference."""
        return self.difference <= min(self.tolerance, max(SHARE_OF_EFFECT * self.effect, _ROUNDING))


def require_mergeable(run: Path, contract: Contract) -> None:
    """Raise a RunError where the run holds nothing that could be put into weights."""
    if contract.weights != "adapter":
        raise RunError(
            "holds whole weights already: there is nothing to merge",
            where=str(run),
            expected="a run of lora, qlora or ia3",
            fix=f"use the run as it is: extune predict {run}",
        )
    if PeftConfig.from_pretrained(str(run / "adapter")).is_prompt_learning:
        raise RunError(
            "its method learned virtual tokens before the prompt, not weights: they cannot be merged",
            where=str(run),
            expected="a run of lora, qlora or ia3",
            fix=f"use the run as it is: extune predict {run}",
        )


def merge_weights(run: Path, contract: Contract, dtype: str, device: str) -> PreTrainedModel:
    """The run's base with its adapter in the weights; a quantised base is merged as what its 4 bits stand for.

    Args:
        run: with an adapter that `require_mergeable` accepts.
        contract: of the run.
        dtype: of the result. Sums are in float32 where the run or the result is.
        device: from `choose_device`.

    Raises:
        RunError: the adapter is missing or damaged.
        ModelError: the base is another one, or the sum is not finite.
    """
    require_unchanged(run, contract)
    summing = "float32" if "float32" in (dtype, contract.dtype) else dtype
    base = load_base(require_base(contract), summing, device, contract.quantization)
    if contract.quantization is not None:
        base = base.dequantize(dtype=getattr(torch, summing))
    adapted = load_adapter(base, run / "adapter")
    try:
        merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:  # safe_merge refuses weights that are not finite
        raise ModelError(
            f"the adapter cannot be merged: {str(error).splitlines()[0]}",
            where=str(run / "adapter"),
            expected="finite weights",
            fix="train again with a lower training.learning_rate",
        ) from error
    return merged.to(getattr(torch, dtype)).eval()


def last_logits(model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], *, bare: bool = False) -> torch.Tensor:
    """Logits after the last tokens of each prompt as one float32 vector on the CPU; `bare` takes the adapter off meanwhile."""
    context = model.disable_adapter() if bare and isinstance(model, PeftModel) else nullcontext()
    with context, torch.no_grad():
        parts = [model(input_ids=torch.tensor([ids], device=model.device), logits_to_keep=_POSITIONS).logits for ids in prompts]
    return torch.cat([part.float().flatten().cpu() for part in parts])


def compare_logits(merged: torch.Tensor, unmerged: torch.Tensor, bare: torch.Tensor, dtypes: Sequence[str]) -> Agreement:
    """How well merged weights do what base and adapter do.

    Args:
        merged: from `last_logits`, as are the two others, of the same prompts.
        unmerged: of base and adapter.
        bare: of the base alone.
        dtypes: in which the two were computed.
    """
    size = unmerged.norm()
    return Agreement(
        difference=float((merged - unmerged).norm() / size),
        effect=float((unmerged - bare).norm() / size),
        tolerance=max(MOST_DIFFERENCE[dtype] for dtype in dtypes),
    )
