"""Tiny random models of each family of bases, with the tokenizer of the embedded one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from extune.models.base_model import EMBEDDED, resolve_base

SMALL: dict[str, Any] = {
    "vocab_size": 7168, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 1024, "bos_token_id": None, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "mistral": {"model_type": "mistral"},  # its layers see a window, so nothing is packed
    "qwen2": {"model_type": "qwen2", "head_dim": None},
    "qwen3": {"model_type": "qwen3"},
    "yi": {"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 5e6}, "num_key_value_heads": 1},
    "glm": {"model_type": "glm", "attention_bias": True},
    "gemma": {"model_type": "gemma"},
    "phi": {"model_type": "phi", "head_dim": None},
    "phi3": {"model_type": "phi3", "head_dim": None},
    "qwen3-moe": {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
}


def build_base(folder: Path, family: str) -> Path:
    """A random model of a family."""
    entries = {key: value for key, value in (SMALL | FAMILIES[family]).items() if value is not None or key == "bos_token_id"}
    torch.manual_seed(17)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(entries.pop("model_type"), **entries))
    model.save_pretrained(folder)
    if family == "qwen2":  # transformers reads any tokenizer of this family as bytes
        _build_byte_tokenizer().save_pretrained(folder)
    else:
        for path in resolve_base(EMBEDDED).glob("*token*"):
            shutil.copyfile(path, folder / path.name)
    shutil.copyfile(resolve_base(EMBEDDED) / "chat_template.jinja", folder / "chat_template.jinja")
    return folder


def _build_byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, with the special tokens of the embedded base under the same ids."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    names = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[2], pad_token=special[0])
