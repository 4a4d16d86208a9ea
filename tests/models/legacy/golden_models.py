"""Loading golden checkpoints and measuring how far they are from the original's logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

FAMILIES = ("qwen1", "baichuan1", "baichuan2", "chatglm2", "chatglm3")
KINDS = [
    (family, kind) for family in FAMILIES for kind in ("bin", "safetensors") if (family, kind) != ("chatglm2", "safetensors")
]
TOLERANCE = 1e-4

Golden = Callable[[str, str], Any]
Converted = Callable[..., Path]


def load_strictly(folder: Path, **changes: Any) -> PreTrainedModel:
    """The model in float32; no key may be missing, unexpected or of another shape."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **changes)
    assert not any(info.values()), info
    return model.eval()


def deviation(model: PreTrainedModel, logits: dict[str, torch.Tensor], case: str, **inputs: Any) -> float:
    """Largest difference to the golden logits of a case, at positions that are no padding."""
    mask = logits.get(f"{case}.attention_mask")
    with torch.no_grad():
        found = model(input_ids=logits[f"{case}.input_ids"], attention_mask=mask, **inputs).logits
    difference = (found - logits[f"{case}.logits"]).abs()
    return float((difference if mask is None else difference[mask.bool()]).max())
