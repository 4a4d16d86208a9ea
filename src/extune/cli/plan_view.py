"""How a training plan looks on a terminal. In: a plan. Out: a table of memory, a line for each GPU and the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extune.cli.terminal import print_columns, say

if TYPE_CHECKING:
    from extune.stages.plan import TrainingPlan


def print_plan(plan: TrainingPlan) -> None:
    """All figures of a plan, and what they have to be read with."""
    from extune.stages.plan import GIB

    memory = plan.memory
    say(f"{plan.recipe} on {plan.base}: {memory.parameters:,} parameters, {memory.trained:,} trained (config: {plan.origin})")
    if plan.processes > 1:
        say(f"one of {plan.processes} GPUs, parallel.strategy: {plan.strategy}")
    packs = (plan.one_row, plan.batch)
    fixed = {
        f"weights, {'4 bits, rest ' if plan.method == 'qlora' else ''}{plan.precision.weights}": memory.fixed.weights,
        "adapter, float32": memory.fixed.adapter,
        "gradients": memory.fixed.gradients,
        "optimizer": memory.fixed.optimizer,
        "casts": memory.fixed.casts,
    }
    if memory.fixed.gathered:
        fixed["weights gathered at one time"] = memory.fixed.gathered
    rows = [(name, *(f"{size / GIB:.2f}",) * len(packs)) for name, size in fixed.items()]
    for name, sizes in zip(
        ("activations, at most", "logits, at most"), zip(*map(memory.varying, packs), strict=True), strict=True
    ):
        rows.append((name, *(f"{size / GIB:.2f}" for size in sizes)))
    rows.append(("all", *(f"{plan.total(pack) / GIB:.2f}" for pack in packs)))
    header = tuple(f"{pack.rows} x {pack.longest} tokens" for pack in packs)
    print_columns("GiB per GPU", ("", *header), rows)
    fitting = ", ".join(f"{size} GB {'yes' if fits else 'no'}" for size, fits in plan.fitting().items())
    say(f"the longest row fits, a tenth left free: {fitting}; packs are cut to the memory that is free")
    if plan.epoch is not None:
        epoch = plan.epoch
        say(
            f"an epoch: {epoch.rows:,} rows, {epoch.tokens:,} tokens, of which about {epoch.computed:,} are computed and "
            f"{epoch.targets:,} learned, in {epoch.steps:,} steps"
        )
    for note in plan.notes:
        say(note)
