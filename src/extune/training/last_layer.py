"""The MLP of the last decoder layer computes only positions that are read.

In: a model and positions. Out: PyTorch's hooks, for a while.
An MLP treats every position by itself, and behind the last one no position reaches another: what it computes matters
where a target is predicted, and nowhere else. Elsewhere zeros stand in for it. It knows nothing about packs and losses.

Shapes: B rows, T tokens of a row, S positions of a row (learned ones before its tokens included), N positions that are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import PeftModel
from transformers import PreTrainedModel


def last_mlp(model: PreTrainedModel | PeftModel) -> torch.nn.Module | None:
    """The last layer's MLP, by the names that most architectures give it; None where there is none of these names."""
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    layers = getattr(inner.get_decoder(), "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if layers else None
    return mlp if isinstance(mlp, torch.nn.Module) else None


@contextmanager
def only_at(mlp: torch.nn.Module, positions_N: torch.Tensor, tokens: int) -> Iterator[None]:
    """Inside the block `mlp` computes these positions alone; the others get zeros.

    Args:
        mlp: that takes (B, S, hidden) and returns the same, perhaps with something beside it. If it is given anything else it
            computes every position.
        positions_N: different ones among the B * T tokens.
        tokens: T.
    """
    shapes: list[torch.Size] = []

    def pick(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
        if len(inputs) != 1 or inputs[0].dim() != 3:
            return None
        shapes.append(inputs[0].shape)
        return inputs[0][:, -tokens:].flatten(0, 1).index_select(0, positions_N)[None]

    def put_back(
        _: torch.nn.Module, __: tuple[torch.Tensor, ...], out: torch.Tensor | tuple[torch.Tensor, ...]
    ) -> torch.Tensor | tuple[torch.Tensor, ...] | None:
        if not shapes:
            return None
        shape = shapes.pop()
        own, *beside = out if isinstance(out, tuple) else (out,)
        at_N = positions_N // tokens * shape[1] + shape[1] - tokens + positions_N % tokens
        every = own.new_zeros(shape[0] * shape[1], own.shape[-1]).index_copy(0, at_N, own[0]).view(*shape[:2], -1)
        return (every, *beside) if isinstance(out, tuple) else every

    handles = [mlp.register_forward_pre_hook(pick), mlp.register_forward_hook(put_back)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
