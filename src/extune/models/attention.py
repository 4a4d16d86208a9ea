"""Which attention a model computes with, for a while. In: a model and a name that transformers knows. It computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from transformers import PreTrainedModel


@contextmanager
def attention_in(model: PreTrainedModel | PeftModel, name: str) -> Iterator[None]:
    """Let `model` use the attention of this name inside the block, and afterwards its own again."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
