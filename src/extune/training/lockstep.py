"""Processes that hold pieces of one model's weights, each with work of its own for it.

In: a model. Out: a block in which each process runs it as often as it needs. It knows nothing about what it is run for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from extune.models.pieces import is_in_pieces, put_away
from extune.training.processes import any_process


@contextmanager
def in_lockstep(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Let every process run `model` as often as the one that runs it most: pieces of weights come together only in all at once.

    Answers have different lengths, so that processes need different numbers of passes. Before each pass all of them say whether
    somebody still has one to make; who has none lets an empty one run along. Inside the block processes exchange nothing else.
    """
    if not is_in_pieces(model):
        yield
        return
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    device = torch.device(model.device)

    def announce(_module: torch.nn.Module, _inputs: object) -> None:
        any_process(True, device)

    handle = base.register_forward_pre_hook(announce, prepend=True)  # before anything is gathered
    try:
        yield
    finally:
        handle.remove()
    token_BT = torch.zeros(1, 1, dtype=torch.long, device=device)
    with torch.no_grad():
        while any_process(False, device):
            base(input_ids=token_BT, use_cache=False)
    put_away(model)
