"""Legacy checkpoints made in memory: tiny, random, in the layout of the releases. Nothing of them comes from a real one."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

HIDDEN, HEADS, GROUPS, WIDTH, LAYERS, FFN = 16, 4, 2, 4, 2, 24
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

QWEN_CONFIG: dict[str, Any] = {
    "model_type": "qwen", "architectures": ["QWenLMHeadModel"], "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig"},
    "attn_dropout_prob": 0.0, "hidden_size": HIDDEN, "intermediate_size": 2 * FFN, "kv_channels": WIDTH,
    "layer_norm_epsilon": 1e-6, "no_bias": True, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
    "rotary_emb_base": 10000, "rotary_pct": 1.0, "seq_length": 8192, "tie_word_embeddings": False, "use_dynamic_ntk": True,
    "use_logn_attn": True, "vocab_size": 512,
}  # fmt: skip
BAICHUAN_CONFIG: dict[str, Any] = {
    "model_type": "baichuan", "architectures": ["BaichuanForCausalLM"], "hidden_act": "silu", "hidden_size": HIDDEN,
    "intermediate_size": FFN, "max_position_embeddings": 4096, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "vocab_size": 400, "z_loss_weight": 0, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
CHATGLM_CONFIG: dict[str, Any] = {
    "model_type": "chatglm", "_name_or_path": "THUDM/chatglm3-6b", "add_bias_linear": False, "add_qkv_bias": True,
    "attention_dropout": 0.0, "ffn_hidden_size": FFN, "hidden_size": HIDDEN, "kv_channels": WIDTH, "layernorm_epsilon": 1e-5,
    "multi_query_attention": True, "multi_query_group_num": GROUPS, "num_attention_heads": HEADS, "num_layers": LAYERS,
    "original_rope": True, "padded_vocab_size": 400, "post_layer_norm": True, "rmsnorm": True, "seq_length": 8192,
    "tie_word_embeddings": False, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
CONFIGS = {"qwen1": QWEN_CONFIG, "baichuan2": BAICHUAN_CONFIG, "chatglm3": CHATGLM_CONFIG}


def make_tensors(family: str) -> Tensors:
    """Random tensors under legacy names, buffers that are no weights included."""
    generator = torch.Generator().manual_seed(17)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / 4

    return {name: random(*shape) for name, shape in _SHAPES[family]().items()}


def write_checkpoint(folder: Path, family: str, *, shards: int = 2, kind: str = "bin", **changes: Any) -> Path:
    """A complete folder; `changes` replace entries of config.json, None removes one."""
    folder.mkdir(parents=True)
    config = {key: value for key, value in {**CONFIGS[family], **changes}.items() if value is not None}
    write_json(folder / "config.json", config)
    write_weights(folder, make_tensors(family), shards=shards, kind=kind)
    if family == "qwen1":
        write_json(folder / "generation_config.json", {"chat_format": "chatml", "do_sample": True, "top_p": 0.8})
        (folder / "qwen.tiktoken").write_bytes(tiktoken_lines())
    else:
        if family == "baichuan2":
            write_json(folder / "tokenizer_config.json", {"add_bos_token": False, "add_eos_token": False})
        (folder / "tokenizer.model").write_bytes(sentencepiece_bytes(dummy_prefix=family == "chatglm3"))
    return folder


def write_weights(folder: Path, tensors: Tensors, *, shards: int = 2, kind: str = "bin") -> None:
    stem, names = ("pytorch_model", "model")[kind == "safetensors"], sorted(tensors)
    groups = [names[number::shards] for number in range(shards)]
    files = [f"{stem}.{kind}" if shards == 1 else f"{stem}-{n + 1:05d}-of-{shards:05d}.{kind}" for n in range(shards)]
    for file, group in zip(files, groups, strict=True):
        part = {name: tensors[name] for name in group}
        torch.save(part, folder / file) if kind == "bin" else save_file(part, folder / file)
    if shards > 1:
        weight_map = {name: file for file, group in zip(files, groups, strict=True) for name in group}
        write_json(folder / f"{stem}.{kind}.index.json", {"metadata": {}, "weight_map": weight_map})


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def tiktoken_lines() -> bytes:
    """All bytes in another order than their values, and some pairs."""
    tokens = [bytes([255 - byte]) for byte in range(256)]
    tokens += ["黄".encode()[:2], "黄".encode(), b"ab", b"abc", b"\n\n"]
    return b"\n".join(base64.b64encode(token) + b" %d" % rank for rank, token in enumerate(tokens)) + b"\n"


def sentencepiece_bytes(
    *,
    dummy_prefix: bool = False,
    pieces: tuple[tuple[str, float, int], ...] = (),
    trainer: Mapping[int, int] | None = None,
    normalizer: Mapping[int, int | bytes] | None = None,
) -> bytes:
    """A sentencepiece BPE with byte fallback: specials, bytes, `pieces`, then some characters of Chinese and English."""
    rows = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    rows += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    rows += [*pieces, ("▁a", -1.0, NORMAL), ("黄芪", -2.0, NORMAL)]
    rows += [(character, -3.0 - place, NORMAL) for place, character in enumerate("▁abc黄芪药：")]
    settings = {3: 2, 35: 1, **(trainer or {})}
    rules = {3: int(dummy_prefix), 4: 0, **(normalizer or {})}
    return b"".join(
        [
            *(_field(1, _field(1, text.encode()) + _float(2, score) + _field(3, kind)) for text, score, kind in rows),
            _field(2, b"".join(_field(number, value) for number, value in settings.items())),
            _field(3, b"".join(_field(number, value) for number, value in rules.items())),
        ]
    )


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _qwen_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (512, HIDDEN),
        "transformer.ln_f.weight": (HIDDEN,),
        "lm_head.weight": (512, HIDDEN),
        "transformer.rotary_emb.inv_freq": (WIDTH // 2,),
    }
    for layer in range(LAYERS):
        at = f"transformer.h.{layer}."
        shapes |= {
            at + "ln_1.weight": (HIDDEN,),
            at + "ln_2.weight": (HIDDEN,),
            at + "attn.c_attn.weight": (3 * HIDDEN, HIDDEN),
            at + "attn.c_attn.bias": (3 * HIDDEN,),
            at + "attn.bias": (1, 1, 8, 8),
            at + "attn.masked_bias": (1,),
            at + "attn.c_proj.weight": (HIDDEN, HIDDEN),
            at + "mlp.w1.weight": (FFN, HIDDEN),
            at + "mlp.w2.weight": (FFN, HIDDEN),
            at + "mlp.c_proj.weight": (HIDDEN, FFN),
        }
    return shapes


def _baichuan_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (400, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (400, HIDDEN),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {
            at + "input_layernorm.weight": (HIDDEN,),
            at + "post_attention_layernorm.weight": (HIDDEN,),
            at + "self_attn.W_pack.weight": (3 * HIDDEN, HIDDEN),
            at + "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            at + "self_attn.rotary_emb.inv_freq": (WIDTH // 2,),
            at + "mlp.gate_proj.weight": (FFN, HIDDEN),
            at + "mlp.up_proj.weight": (FFN, HIDDEN),
            at + "mlp.down_proj.weight": (HIDDEN, FFN),
        }
    return shapes


def _chatglm_shapes() -> dict[str, tuple[int, ...]]:
    rows = (HEADS + 2 * GROUPS) * WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.embedding.word_embeddings.weight": (400, HIDDEN),
        "transformer.encoder.final_layernorm.weight": (HIDDEN,),
        "transformer.output_layer.weight": (400, HIDDEN),
        "transformer.rotary_pos_emb.inv_freq": (WIDTH // 4,),
    }
    for layer in range(LAYERS):
        at = f"transformer.encoder.layers.{layer}."
        shapes |= {
            at + "input_layernorm.weight": (HIDDEN,),
            at + "post_attention_layernorm.weight": (HIDDEN,),
            at + "self_attention.query_key_value.weight": (rows, HIDDEN),
            at + "self_attention.query_key_value.bias": (rows,),
            at + "self_attention.dense.weight": (HIDDEN, HEADS * WIDTH),
            at + "mlp.dense_h_to_4h.weight": (2 * FFN, HIDDEN),
            at + "mlp.dense_4h_to_h.weight": (HIDDEN, FFN),
        }
    return shapes


_SHAPES = {"qwen1": _qwen_shapes, "baichuan2": _baichuan_shapes, "chatglm3": _chatglm_shapes}
