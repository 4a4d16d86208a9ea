"""Quantises a model with llm-compressor, in an environment of its own: this file imports nothing of extune.

In: a model folder and a file of token ids, one JSON list a line. Out: a folder of compressed-tensors, and a JSON file that says
how. `models/compress.py` runs it.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform import AWQModifier, SmoothQuantModifier
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, PreTrainedModel

_GROUP_SIZES = (128, 64, 32)  # what kernels of vLLM take, the usual one first
_SMOOTHING = 0.8  # of activations before they are rounded to 8 bits, as in llm-compressor's own example
_WHOLE = ["lm_head"]  # tied to the embeddings in many models, and where an error costs most
_SHARD = "4GB"  # of one file, as everywhere in extune
_LIBRARIES = ("llmcompressor", "compressed-tensors", "torch", "transformers")


def main() -> None:
    """Read the command line, quantise, write."""
    parser = argparse.ArgumentParser()
    for option in ("model", "rows", "method", "dtype", "out", "report"):
        parser.add_argument(f"--{option}", required=True)
    asked = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(
        asked.model, dtype=getattr(torch, asked.dtype), local_files_only=True, use_safetensors=True
    )
    group_size = choose_group_size(model)
    with Path(asked.rows).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    oneshot(model=model, dataset=load_rows(rows), recipe=build_recipe(asked.method, group_size))
    model.save_pretrained(asked.out, save_compressed=True, max_shard_size=_SHARD)
    report = {
        "group_size": None if asked.method == "int8" else group_size,
        "versions": {name: version(name) for name in _LIBRARIES},
    }
    Path(asked.report).write_text(json.dumps(report), encoding="utf-8")


def choose_group_size(model: PreTrainedModel) -> int | None:
    """Weights that share a scale: the usual number where it divides every layer's inputs; None: a whole row of inputs."""
    layers = [layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and name not in _WHOLE]
    widths = {layer.in_features for layer in layers}
    return next((size for size in _GROUP_SIZES if not any(width % size for width in widths)), None)


def load_rows(rows: list[list[int]]) -> DataLoader[dict[str, torch.Tensor]]:
    """One row at a time: nothing is padded, and each row sees only itself."""
    tensors = [torch.tensor([ids]) for ids in rows]
    items = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in tensors]
    return DataLoader(items, batch_size=None)  # type: ignore[arg-type]  # a list is a data set


def build_recipe(method: str, group_size: int | None) -> list[Any]:
    """The modifiers of a method."""
    if method == "int8":
        activations = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
        groups = group_layers(8, None, symmetric=True) | {"input_activations": activations}
        smoothing = SmoothQuantModifier(smoothing_strength=_SMOOTHING)
        return [smoothing, GPTQModifier(config_groups={"group_0": groups}, ignore=_WHOLE)]
    if method == "gptq":
        return [GPTQModifier(config_groups={"group_0": group_layers(4, group_size, symmetric=True)}, ignore=_WHOLE)]
    groups = group_layers(4, group_size, symmetric=False)
    return [AWQModifier(duo_scaling="both"), QuantizationModifier(config_groups={"group_0": groups}, ignore=_WHOLE)]


def group_layers(bits: int, group_size: int | None, *, symmetric: bool) -> dict[str, Any]:
    """How the weights of all linear layers are held; `group_size` None: one scale for each output."""
    weights: dict[str, Any] = {"num_bits": bits, "type": "int", "symmetric": symmetric, "dynamic": False}
    weights |= {"strategy": "channel"} if group_size is None else {"strategy": "group", "group_size": group_size}
    return {"targets": ["Linear"], "weights": weights}


if __name__ == "__main__":
    main()
