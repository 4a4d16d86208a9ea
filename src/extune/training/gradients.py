"""Gradients as a result, and those that processes sum themselves. In: a model and a loss. Out: tensors by the names of weights.

Where processes hold pieces of the weights, all of them have to ask, and for the same loss. It knows nothing about optimisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch.distributed.tensor import DTensor

from extune.models.pieces import is_in_pieces, whole


def gradient_of(model: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradient by the names of the trained weights that it reaches; nothing is left in the model.

    Of weights in pieces it has this process's pieces.
    """
    if is_in_pieces(model):  # what autograd sees are gathered copies: pieces get their gradient in a backward pass only
        torch.autograd.backward(loss)
        found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        model.zero_grad(set_to_none=True)
        return found
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return {name: one for name, one in zip(trained, gradients, strict=True) if one is not None}


def norm_of(gradient: Mapping[str, torch.Tensor]) -> float:
    """The length of the whole gradient."""
    return math.sqrt(sum(float(whole(part.float().norm())) ** 2 for part in gradient.values()))


def begin_alike(model: torch.nn.Module) -> None:
    """Give what each process trains whole the values that it has in the first one."""
    for weight in _whole_and_trained(model):
        torch.distributed.broadcast(weight.data, src=0)


def average_gradients(model: torch.nn.Module) -> None:
    """Average over the processes the gradients of what each trains whole; pieces have been averaged in the backward pass."""
    gradients = [weight.grad for weight in _whole_and_trained(model) if weight.grad is not None]
    if not gradients:
        return
    together = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(together)
    together /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, torch.split(together, [one.numel() for one in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _whole_and_trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad and not isinstance(weight, DTensor)]
