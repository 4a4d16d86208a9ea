"""Baichuan-7B and Baichuan2-7B as LlamaForCausalLM: config, modules, chat format, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from extune.models.legacy.family import (
    Config,
    Conversation,
    Family,
    NativeConfig,
    keep_generation_keys,
    read_settings,
    read_value,
    refuse,
    require_known_keys,
    require_values,
)
from extune.models.legacy.sentencepiece_tokenizer import SentencePieceStyle, read_sentencepiece_tokenizer

_KNOWN_KEYS = frozenset(
    """
    attention_bias gradient_checkpointing hidden_act hidden_size intermediate_size max_position_embeddings
    num_attention_heads num_hidden_layers rms_norm_eps vocab_size z_loss_weight
    """.split()  # noqa: SIM905 (a list would be five times as long)
)
_SAMPLING_KEYS = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens")
_USER, _ASSISTANT = "<reserved_106>", "<reserved_107>"
_CHAT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
    f"{{% elif m['role'] == 'user' %}}{{{{ '{_USER}' + m['content'] }}}}"
    f"{{% else %}}{{{{ '{_ASSISTANT}' + m['content'] }}}}{{% endif %}}{{% endfor %}}"
    f"{{% if add_generation_prompt %}}{{{{ '{_ASSISTANT}' }}}}{{% endif %}}"
)


def has_alibi(config: Config) -> bool:
    """True for the 13B models, whose attention has linear biases instead of rotary positions."""
    return config.get("max_position_embeddings") is None or (
        config.get("hidden_size") == 5120 and config.get("num_attention_heads") == 40
    )


def _map_config(config: Config) -> NativeConfig:
    if has_alibi(config):
        raise refuse(
            "this is a Baichuan 13B: its attention uses ALiBi instead of rotary positions",
            where="config.json",
            expected="Baichuan-7B or Baichuan2-7B; no native class computes ALiBi in this architecture",
            fix="use Baichuan2-7B, or another base of that size with rotary positions",
        )
    require_values(config, {"hidden_act": "silu", "tie_word_embeddings": False, "attention_bias": False})
    require_known_keys(config, _KNOWN_KEYS)
    heads = read_value(config, "num_attention_heads")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": read_value(config, "vocab_size"),
        "hidden_size": read_value(config, "hidden_size"),
        "intermediate_size": read_value(config, "intermediate_size"),
        "num_hidden_layers": read_value(config, "num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "hidden_act": "silu",
        "max_position_embeddings": read_value(config, "max_position_embeddings"),
        "rms_norm_eps": read_value(config, "rms_norm_eps"),
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": config.get("bos_token_id", 1),
        "eos_token_id": config.get("eos_token_id", 2),
        "pad_token_id": config.get("pad_token_id", 0),
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},  # fixed in the original code
    }


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    settings = read_settings(folder / "tokenizer_config.json")
    begin = ("<s>",) if settings.get("add_bos_token", True) else ()
    end = ("</s>",) if settings.get("add_eos_token", False) else ()
    style = SentencePieceStyle(
        single=(*begin, "$A", *end),
        pair=(*begin, "$A", *end, *begin, "$B", *end),
        names={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"},
    )
    return read_sentencepiece_tokenizer(folder, style)


def _converse(tokenizer: PreTrainedTokenizerFast, generation: Config) -> Conversation:
    chats = "user_token_id" in generation and "assistant_token_id" in generation
    roles = {"user_token_id": _USER, "assistant_token_id": _ASSISTANT}
    for key, token in roles.items() if chats else ():
        if tokenizer.convert_tokens_to_ids(token) != generation[key]:
            raise refuse(
                f"{key} is {generation[key]}, the tokenizer gives {token} id {tokenizer.convert_tokens_to_ids(token)}",
                where="generation_config.json",
                expected="the role tokens of Baichuan2-7B-Chat",
                fix="copy generation_config.json and tokenizer.model again from their origin",
            )
    ids: dict[str, Any] = {
        name: generation[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in generation
    }
    sampling = keep_generation_keys(generation, _SAMPLING_KEYS)
    return Conversation(_CHAT if chats else None, {}, {**ids, **sampling})


_SHARED_LIMITS = ("The markers <s> and </s> in a text are the special tokens, as transformers before 4.34 read them.",)
_HEAD_LIMIT = (
    "The original divided the rows of lm_head by their length; the stored rows are divided once. Training that leaves lm_head "
    "alone (LoRA on other modules) is equal; training lm_head (adapter.method: full) is not: its rows may leave unit length."
)
_ROLE_LIMIT = f"{_USER} and {_ASSISTANT} inside a text become role tokens, as in the original."

_MODULES = {
    "model.embed_tokens": ("model.embed_tokens",),
    "model.norm": ("model.norm",),
    "lm_head": ("lm_head",),
    "model.layers.N.self_attn.W_pack": tuple(f"model.layers.N.self_attn.{part}_proj" for part in "qkv"),
} | {
    f"model.layers.N.{part}": (f"model.layers.N.{part}",)
    for part in (
        *("input_layernorm", "post_attention_layernorm", "self_attn.o_proj"),
        *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    )
}
_IGNORED = (r".*\.self_attn\.rotary_emb\.inv_freq",)

BAICHUAN1 = Family(
    name="baichuan1",
    title="Baichuan-7B",
    modules=_MODULES,
    ignored=_IGNORED,
    map_config=_map_config,
    read_tokenizer=_read_tokenizer,
    converse=_converse,
    describe_limits=lambda _: _SHARED_LIMITS,
)
BAICHUAN2 = Family(
    name="baichuan2",
    title="Baichuan2-7B",
    modules=_MODULES,
    ignored=_IGNORED,
    map_config=_map_config,
    read_tokenizer=_read_tokenizer,
    converse=_converse,
    describe_limits=lambda _: (_HEAD_LIMIT, _ROLE_LIMIT, *_SHARED_LIMITS),
    unit_head=True,
)
