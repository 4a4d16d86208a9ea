"""Qwen-1 (1.8B, 7B, 14B, 72B) as Qwen2ForCausalLM: config, modules, chat format, limits."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from extune.models.legacy.family import (
    Config,
    Conversation,
    Family,
    NativeConfig,
    keep_generation_keys,
    read_value,
    refuse,
    require_known_keys,
    require_values,
)
from extune.models.legacy.tiktoken_file import read_qwen_tokenizer
from extune.prompts.templates import CONTENTS_APART

# The roles and contents of the original were encoded one by one: a content that begins with newlines must not fuse
# with the newline after its role, so its contents are encoded apart.
_CHATML = (
    CONTENTS_APART
    + "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_KNOWN_KEYS = frozenset(
    """
    activation apply_residual_connection_post_layernorm attn_dropout_prob attn_pdrop bf16 embd_pdrop emb_dropout_prob
    ffn_hidden_size fp16 fp32 hidden_size intermediate_size kv_channels layer_norm_epsilon max_position_embeddings n_embd
    n_head n_layer n_positions no_bias num_attention_heads num_hidden_layers onnx_safe padded_vocab_size params_dtype
    resid_pdrop rotary_emb_base rotary_pct scale_attn_weights seq_length softmax_in_fp32 tokenizer_type use_dynamic_ntk
    use_flash_attn use_logn_attn vocab_size
    """.split()  # noqa: SIM905 (a list would be five times as long)
)
_SAMPLING_KEYS = ("do_sample", "top_k", "top_p", "temperature", "repetition_penalty", "max_new_tokens")


def _map_config(config: Config) -> NativeConfig:
    for other, name in (("visual", "Qwen-VL"), ("audio", "Qwen-Audio")):
        if config.get(other):
            raise refuse(
                f"{other!r} in the config: this is {name}",
                where="config.json",
                expected="a Qwen-1 language model (1.8B, 7B, 14B or 72B)",
                fix="use a text-only base, for example Qwen-7B",
            )
    require_values(config, {"no_bias": True, "rotary_pct": 1.0, "tie_word_embeddings": False, "activation": "swiglu"})
    require_values(config, {"apply_residual_connection_post_layernorm": False, "scale_attn_weights": True})
    require_known_keys(config, _KNOWN_KEYS)
    hidden, heads = read_value(config, "hidden_size", "n_embd"), read_value(config, "num_attention_heads", "n_head")
    if read_value(config, "kv_channels") * heads != hidden:
        raise refuse(
            f"kv_channels {config['kv_channels']} x {heads} heads is not hidden_size {hidden}",
            where="config.json",
            expected="heads that fill the hidden size, as in every released Qwen-1",
            fix="copy config.json again from its origin",
        )
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": read_value(config, "vocab_size"),
        "hidden_size": hidden,
        # The original's number counts gate and up projection together.
        "intermediate_size": read_value(config, "intermediate_size", "ffn_hidden_size") // 2,
        "num_hidden_layers": read_value(config, "num_hidden_layers", "n_layer"),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "hidden_act": "silu",
        # Not the legacy max_position_embeddings: up to seq_length neither NTK scaling nor logn does anything.
        "max_position_embeddings": read_value(config, "seq_length"),
        "rms_norm_eps": read_value(config, "layer_norm_epsilon"),
        "attention_dropout": read_value(config, "attn_dropout_prob", "attn_pdrop"),
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": float(read_value(config, "rotary_emb_base"))},
    }


def _converse(tokenizer: PreTrainedTokenizerFast, generation: Config) -> Conversation:
    end_of_text, start, end = (
        tokenizer.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    )
    chats = generation.get("chat_format") == "chatml"
    ids: dict[str, Any] = {"eos_token_id": end if chats else end_of_text, "pad_token_id": end_of_text}
    stops = [end, end_of_text, start] if chats else end_of_text
    sampling = keep_generation_keys(generation, _SAMPLING_KEYS)
    return Conversation(_CHATML if chats else None, ids, {**ids, "eos_token_id": stops, **sampling})


def _describe_limits(native: NativeConfig) -> tuple[str, ...]:
    length = native["max_position_embeddings"]
    return (
        f"Exact up to {length} tokens (max_position_embeddings = the original's seq_length). In longer inputs the original "
        "changed its rotary base in steps and scaled queries by position when it was not training; the native class does not.",
    )


QWEN1 = Family(
    name="qwen1",
    title="Qwen-1",
    modules={
        "transformer.wte": ("model.embed_tokens",),
        "transformer.ln_f": ("model.norm",),
        "lm_head": ("lm_head",),
        "transformer.h.N.ln_1": ("model.layers.N.input_layernorm",),
        "transformer.h.N.ln_2": ("model.layers.N.post_attention_layernorm",),
        "transformer.h.N.attn.c_attn": tuple(f"model.layers.N.self_attn.{part}_proj" for part in "qkv"),
        "transformer.h.N.attn.c_proj": ("model.layers.N.self_attn.o_proj",),
        # out = w1(x) * silu(w2(x))
        "transformer.h.N.mlp.w1": ("model.layers.N.mlp.up_proj",),
        "transformer.h.N.mlp.w2": ("model.layers.N.mlp.gate_proj",),
        "transformer.h.N.mlp.c_proj": ("model.layers.N.mlp.down_proj",),
    },
    # `.attn.bias` with its dot: c_attn.bias ends with the same letters and is a weight.
    ignored=(r".*\.rotary_emb\.inv_freq", r".*\.attn\.masked_bias", r".*\.logn_tensor", r".*\.attn\.bias"),
    map_config=_map_config,
    read_tokenizer=read_qwen_tokenizer,
    converse=_converse,
    describe_limits=_describe_limits,
)
