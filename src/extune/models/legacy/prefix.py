"""P-Tuning v2 checkpoints of ChatGLM2/3 as PEFT prefix-tuning adapters with the same logits.

In: a checkpoint folder (config.json and the prefix encoder) and the converted base. Out: an adapter folder in PEFT layout.

The original put unrotated keys into the cache and counted real tokens from 0; PEFT counts them from the length of the prefix.
Rotary attention only sees differences of positions, so a key that is rotated by that length meets every query of PEFT as the
unrotated key met the original's. The conversion rotates once; nobody has to set positions.
Shapes: P prefix tokens, L layers, G key-value heads, D their width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PrefixTuningConfig, TaskType
from safetensors.torch import save_file

from extune.errors import ModelError
from extune.files import atomic_folder
from extune.models.legacy.family import NativeConfig, read_settings, refuse
from extune.models.legacy.note import read_family_name
from extune.models.legacy.weights import find_weight_files, read_weights

_ENCODER = "transformer.prefix_encoder."
_EMBEDDING = "embedding.weight"
_PROJECTION = ("trans.0.weight", "trans.0.bias", "trans.2.weight", "trans.2.bias")


def is_prefix_checkpoint(source: Path) -> bool:
    """True where config.json says that a prefix was trained."""
    return bool(read_settings(source / "config.json").get("pre_seq_len"))


def convert_prefix(source: Path, base: Path, out: Path) -> int:
    """Write the prefix of `source` as an adapter into the folder `out` and return the number of its virtual tokens.

    Args:
        source: folder with config.json and the weights of the prefix encoder.
        base: the converted base on which it was trained.
        out: folder to write.

    Raises:
        ModelError: the checkpoint holds more than a prefix, or does not belong to this base. Nothing is written.
    """
    config, native = read_settings(source / "config.json"), read_settings(base / "config.json")
    family = read_family_name(base)
    if not family.startswith("chatglm"):
        raise _foreign(f"the base is a {family}")
    tensors = {name: tensor for file in find_weight_files(source) for name, tensor in read_weights(file)}
    prefix = _encode_prefix(_encoder_weights(tensors, projects=bool(config.get("prefix_projection"))))
    layers, heads, width = native["num_hidden_layers"], native["num_key_value_heads"], native["head_dim"]
    expected = (config["pre_seq_len"], 2 * layers * heads * width)
    if tuple(prefix.shape) != expected:
        raise _foreign(f"the prefix has shape {list(prefix.shape)}, the configs say {list(expected)}")
    keys_and_values_PLGD = prefix.view(len(prefix), 2 * layers, heads, width)  # noqa: N806
    keys_and_values_PLGD[:, ::2] = _rotate(keys_and_values_PLGD[:, ::2], len(prefix), native)
    adapter = PrefixTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=str(base),
        inference_mode=True,
        num_virtual_tokens=len(prefix),
        num_transformer_submodules=1,
        num_layers=layers,
        num_attention_heads=heads,
        token_dim=heads * width,
        encoder_hidden_size=heads * width,
    )
    with atomic_folder(out) as folder:
        save_file({"prompt_embeddings": prefix}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        adapter.save_pretrained(str(folder))
    return len(prefix)


def _encoder_weights(tensors: Mapping[str, torch.Tensor], *, projects: bool) -> dict[str, torch.Tensor]:
    expected = {_ENCODER + name for name in (_EMBEDDING, *(_PROJECTION if projects else ()))}
    if set(tensors) != expected:
        surplus, missing = sorted(set(tensors) - expected), sorted(expected - set(tensors))
        raise _foreign(
            f"{len(surplus)} tensors are not part of the prefix encoder {surplus[:3]}, {len(missing)} are missing {missing[:3]}"
        )
    return {name.removeprefix(_ENCODER): tensor.float() for name, tensor in tensors.items()}


def _encode_prefix(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Keys and values (P, 2 L G D): the embedding, through its two layers where it was trained with a projection."""
    if _PROJECTION[0] not in weights:
        return weights[_EMBEDDING].clone()
    first, first_bias, second, second_bias = (weights[name] for name in _PROJECTION)
    hidden = torch.tanh(torch.nn.functional.linear(weights[_EMBEDDING], first, first_bias))
    return torch.nn.functional.linear(hidden, second, second_bias)


def _rotate(keys: torch.Tensor, position: int, native: NativeConfig) -> torch.Tensor:
    """Keys (P, L, G, D) as the native class rotates them at `position`: neighbouring pairs of the first part of each head."""
    rope = native["rope_parameters"]
    width = int(keys.shape[-1] * rope["partial_rotary_factor"])
    frequencies = rope["rope_theta"] ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    cosine, sine = torch.cos(position * frequencies), torch.sin(position * frequencies)
    even, odd = keys[..., 0:width:2], keys[..., 1:width:2]
    rotated = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)
    return torch.cat([rotated, keys[..., width:]], dim=-1)


def _foreign(what: str) -> ModelError:
    return refuse(
        what,
        where="P-Tuning v2 checkpoint",
        expected="the prefix encoder alone, as the ChatGLM repositories save it, and the base on which it was trained",
        fix="name that base with --base; a checkpoint that holds the whole model too is not supported",
    )
