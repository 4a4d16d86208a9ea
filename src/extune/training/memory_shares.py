"""Which part of a training's fixed memory a process holds of what all of them hold. In: the strategy. Out: divisors.

It knows nothing about models.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shares:
    """Among how many processes each part is divided; 1: each of them holds it whole."""

    weights: int = 1
    adapter: int = 1
    gradients: int = 1
    optimizer: int = 1


def shares_of(strategy: str, processes: int, *, trains_adapter: bool) -> Shares:
    """What a strategy of the recipe divides.

    Args:
        strategy: `parallel.strategy`.
        processes: that train together.
        trains_adapter: beside a frozen base; FSDP leaves the adapter whole, with its gradients and states.
    """
    if strategy == "fsdp":
        own = 1 if trains_adapter else processes
        return Shares(weights=processes, adapter=own, gradients=own, optimizer=own)
    return Shares(
        weights=processes if strategy == "zero3" else 1,
        adapter=processes if strategy == "zero3" else 1,
        gradients=processes if strategy in ("zero2", "zero3") else 1,
        optimizer=processes if strategy in ("zero1", "zero2", "zero3") else 1,
    )
