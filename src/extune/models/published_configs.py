"""Shapes of public bases, so that a training can be planned before anything is downloaded.

Facts of the models' published config.json, in the words of the native architecture that extune runs them with (Qwen-1, Baichuan
and ChatGLM are converted). A config that is on this machine goes before this table. It knows nothing about weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _config(kind: str, hidden: int, intermediate: int, layers: int, heads: int, vocabulary: int, **more: Any) -> dict[str, Any]:
    """Keys of a native config.json that decide how large a model is."""
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
    } | more


_QWEN2_7B = _config("qwen2", 3584, 18944, 28, 28, 152064, num_key_value_heads=4)
_QWEN15_7B = _config("qwen2", 4096, 11008, 32, 32, 151936)
_QWEN15_05B = _config("qwen2", 1024, 2816, 24, 16, 151936, tie_word_embeddings=True)
_QWEN_18B = _config("qwen2", 2048, 5504, 24, 16, 151936)
_BAICHUAN_7B = _config("llama", 4096, 11008, 32, 32, 64000)
_CHATGLM3_6B = _config(
    "glm", 4096, 13696, 28, 32, 65024, num_key_value_heads=2, head_dim=128, attention_bias=True, pad_token_id=None
)

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "qwen/qwen2-7b": _QWEN2_7B,
    "qwen/qwen2-7b-instruct": _QWEN2_7B,
    "qwen/qwen1.5-7b": _QWEN15_7B,
    "qwen/qwen1.5-7b-chat": _QWEN15_7B,
    "qwen/qwen1.5-0.5b": _QWEN15_05B,
    "qwen/qwen1.5-0.5b-chat": _QWEN15_05B,
    "qwen/qwen-1_8b": _QWEN_18B,
    "qwen/qwen-1_8b-chat": _QWEN_18B,
    "baichuan-inc/baichuan-7b": _BAICHUAN_7B,
    "thudm/chatglm3-6b": _CHATGLM3_6B,
    "zai-org/chatglm3-6b": _CHATGLM3_6B,
    "zhipuai/chatglm3-6b": _CHATGLM3_6B,
}
"""By repository, in small letters: names on hubs differ in capitals."""
