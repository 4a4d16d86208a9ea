"""What each `parallel.strategy` cannot train. In: sections of a recipe. Out: the reason, as a sentence."""

from __future__ import annotations

from extune.recipe.adapters import AdapterSection

IN_PIECES = ("fsdp",)
"""Strategies under which a process holds pieces of the base's weights."""


def require_offered(value: object) -> object:
    """The value; a ValueError that names the strategy which divides the same where it is DeepSpeed's third stage."""
    if value == "zero3":
        raise ValueError(
            "parallel.strategy: zero3 is not offered; fsdp divides the same: weights, gradients, states of the optimizer"
        )
    return value


def strategy_obstacle(strategy: str, adapter: AdapterSection, optim: str) -> str | None:
    """Why the strategy cannot train this; None where nothing is in the way."""
    return _optimizer_obstacle(strategy, adapter, optim) or (
        _method_obstacle(strategy, adapter) if strategy in IN_PIECES else None
    )


def _optimizer_obstacle(strategy: str, adapter: AdapterSection, optim: str) -> str | None:
    in_pieces = strategy in IN_PIECES and adapter.writes_model  # an adapter is whole in each process
    if not (in_pieces or strategy.startswith("zero")):
        return None
    if optim == "adafactor":
        why = "it needs whole matrices, and a process has pieces of them"
    elif in_pieces and optim.endswith("8bit"):
        why = "bitsandbytes takes no pieces; adamw_torch_fused does"
    else:
        return None
    return f"training.optim: {optim} cannot be used with parallel.strategy: {strategy}: {why}"


def _method_obstacle(strategy: str, adapter: AdapterSection) -> str | None:
    key = f"adapter.method: {adapter.method}"
    if adapter.method == "qlora":
        why = (
            "matrices in 4 bits are held with their scales and are not divided; lora divides a base in bfloat16, and ddp, zero1"
            " and zero2 hold one in 4 bits whole in each process"
        )
    elif adapter.adds_virtual_tokens:
        why = "learned tokens stand outside of the layers that are divided; lora, ia3, freeze and full can be used"
    elif getattr(adapter, "use_dora", False):
        key, why = "adapter.use_dora: true", "it begins with the lengths of whole weight columns"
    else:
        return None
    return f"{key} cannot be used with parallel.strategy: {strategy}: {why}"
