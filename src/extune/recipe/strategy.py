"""What each `parallel.strategy` cannot train. In: sections of a recipe. Out: the reason, as a sentence."""

from __future__ import annotations

from extune.recipe.adapters import AdapterSection

IN_PIECES = ("fsdp",)
"""Strategies under which a process holds pieces of the base's weights."""


def strategy_obstacle(strategy: str, adapter: AdapterSection, optim: str) -> str | None:
    """Why the strategy cannot train this; None where nothing is in the way."""
    key, method = f"parallel.strategy: {strategy}", adapter.method
    divides_states = strategy.startswith("zero") or (strategy in IN_PIECES and adapter.writes_model)
    if optim == "adafactor" and divides_states:
        return f"training.optim: adafactor cannot be used with {key}: it needs whole matrices, and a process has pieces of them"
    if strategy not in IN_PIECES:
        return None
    if optim.endswith("8bit") and divides_states:
        return f"training.optim: {optim} cannot be used with {key}: bitsandbytes takes no pieces; adamw_torch does"
    if method == "qlora":
        return (
            f"{key} cannot be used with adapter.method: qlora: matrices in 4 bits are held with their scales and are not"
            " divided; lora divides a base in bfloat16, and ddp, zero1 and zero2 hold one in 4 bits whole"
        )
    if adapter.adds_virtual_tokens:
        return (
            f"{key} cannot be used with adapter.method: {method}, whose learned tokens stand outside of the layers that are"
            " divided; lora, ia3, freeze and full can be used"
        )
    if getattr(adapter, "use_dora", False):
        return f"{key} cannot be used with adapter.use_dora: true, which begins with the lengths of whole weight columns"
    return None
