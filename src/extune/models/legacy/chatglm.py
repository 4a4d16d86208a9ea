"""ChatGLM2-6B and ChatGLM3-6B as GlmForCausalLM: config, modules, chat formats, limits.

Their weights and configs map alike; tokenizer and prompts differ.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from extune.models.legacy.family import (
    Config,
    Conversation,
    Family,
    NativeConfig,
    read_value,
    refuse,
    require_known_keys,
    require_values,
)
from extune.models.legacy.sentencepiece_tokenizer import SentencePieceStyle, read_sentencepiece_tokenizer

_REQUIRED = {
    "rmsnorm": True,
    "post_layer_norm": True,
    "multi_query_attention": True,
    "original_rope": True,
    "add_bias_linear": False,
    "apply_residual_connection_post_layernorm": False,
    "tie_word_embeddings": False,
}
_KNOWN_KEYS = frozenset(_REQUIRED) | frozenset(
    """
    add_qkv_bias apply_query_key_layer_scaling attention_dropout attention_softmax_in_fp32 bias_dropout_fusion
    classifier_dropout ffn_hidden_size fp32_residual_connection hidden_dropout hidden_size kv_channels layernorm_epsilon
    multi_query_group_num num_attention_heads num_layers padded_vocab_size prefix_projection rope_ratio seq_length vocab_size
    """.split()  # noqa: SIM905 (a list would be five times as long)
)
_GLM4_VOCABULARY = 151552
# [MASK], [gMASK], [sMASK], sop, eop follow the pieces. As bare words the last two would be cut out of "people".
_EXTRA = ("[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>")
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_ROUNDS = (
    "{{ '[gMASK]<sop>' }}{% set rounds = namespace(n=0) %}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{% set rounds.n = rounds.n + 1 %}{{ '[Round ' ~ rounds.n ~ ']\n\n问：' + m['content'] + '\n\n答：' }}"
    "{% else %}{{ m['content'] + '\n\n' }}{% endif %}{% endfor %}"
)
# The blank before a content is the one with which sentencepiece begins every text.
_ROLE_TURNS = (
    "{{ '[gMASK]<sop>' }}{% for m in messages %}{% if m['role'] == 'system' and m.get('tools') %}"
    "{% set c = m['content'] + '\n' + (m['tools'] | tojson(indent=4, ensure_ascii=False)) %}"
    "{% else %}{% set c = m['content'] %}{% endif %}"
    "{{ '<|' + m['role'] + '|>' + m.get('metadata', '') + '\n' + (' ' + c if c else '') }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# What the original's chat() samples with; no generation_config.json came with these models.
_SAMPLING = {"do_sample": True, "top_p": 0.8, "temperature": 0.8, "max_length": 8192}


def _map_config(config: Config) -> NativeConfig:
    _require_glm(config)
    require_values(config, _REQUIRED)
    require_known_keys(config, _KNOWN_KEYS)
    return {
        "architectures": ["GlmForCausalLM"],
        "model_type": "glm",
        "vocab_size": read_value(config, "padded_vocab_size"),
        "hidden_size": read_value(config, "hidden_size"),
        "intermediate_size": read_value(config, "ffn_hidden_size"),
        "num_hidden_layers": read_value(config, "num_layers"),
        "num_attention_heads": read_value(config, "num_attention_heads"),
        "num_key_value_heads": read_value(config, "multi_query_group_num"),
        "head_dim": read_value(config, "kv_channels"),
        "hidden_act": "silu",
        "attention_bias": read_value(config, "add_qkv_bias"),
        "attention_dropout": read_value(config, "attention_dropout"),
        "max_position_embeddings": read_value(config, "seq_length"),
        "rms_norm_eps": read_value(config, "layernorm_epsilon"),
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        # Written out: the defaults of the native class are those of GLM-4.
        "pad_token_id": config.get("pad_token_id", 0),
        "eos_token_id": config.get("eos_token_id", 2),
        "bos_token_id": None,
    }


def _require_glm(config: Config) -> None:
    """Raise for models that are called chatglm too and compute something else."""
    if config.get("position_encoding_2d") or "inner_hidden_size" in config:
        raise refuse(
            "this is ChatGLM-6B of the first generation",
            where="config.json",
            expected="ChatGLM2-6B or ChatGLM3-6B; the first one has another architecture (two-dimensional positions)",
            fix="use ChatGLM3-6B",
        )
    if config.get("padded_vocab_size") == _GLM4_VOCABULARY:
        raise refuse(
            f"this is GLM-4 under the name chatglm (padded_vocab_size {_GLM4_VOCABULARY})",
            where="config.json",
            expected="ChatGLM2-6B or ChatGLM3-6B",
            fix="use its native release, glm-4-9b-chat-hf or glm-4-9b-hf: it needs no conversion",
        )
    if config.get("pre_seq_len"):
        raise refuse(
            f"pre_seq_len is {config['pre_seq_len']}: this is a P-Tuning v2 checkpoint",
            where="config.json",
            expected="a base without prefix",
            fix="name the base itself, and import this folder with: extune import-base DIR OUT --base BASE",
        )
    if config.get("rope_ratio", 1) != 1:
        raise refuse(
            f"rope_ratio is {config['rope_ratio']}: this is a 32k variant",
            where="config.json",
            expected="ChatGLM2-6B or ChatGLM3-6B with plain rotary positions; the two stretch them differently and neither "
            "could be verified",
            fix="use chatglm3-6b or chatglm2-6b without 32k",
        )


def _read_tokenizer(folder: Path, extra: tuple[str, ...]) -> PreTrainedTokenizerFast:
    style = SentencePieceStyle(
        single=("[gMASK]", "<sop>", "$A"),
        pair=("[gMASK]", "<sop>", "$A", "$B", "</s>"),
        extra=extra,
        names={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"},
        padding_side="left",
    )
    return read_sentencepiece_tokenizer(folder, style)


def _converse_rounds(tokenizer: PreTrainedTokenizerFast, generation: Config) -> Conversation:  # noqa: ARG001
    stops = tokenizer.convert_tokens_to_ids("</s>")
    return Conversation(_ROUNDS, {}, {"eos_token_id": stops, "pad_token_id": 0, **_SAMPLING})


def _converse_roles(tokenizer: PreTrainedTokenizerFast, generation: Config) -> Conversation:  # noqa: ARG001
    stops = tokenizer.convert_tokens_to_ids(["</s>", "<|user|>", "<|observation|>"])
    return Conversation(_ROLE_TURNS, {}, {"eos_token_id": stops, "pad_token_id": 0, **_SAMPLING})


_SPELLING = "The markers sop and eop are called <sop> and <eop> in the tokenizer; their ids are the original's."
_HALF_ROPE = (
    "The original computed rotary angles in the model's precision: in float16 they were off by 0.05 rad at position 100 and "
    "0.4 at 1000, so long float16 outputs of the original differ. The native class computes them in float32."
)
_MODULES = {
    "transformer.embedding.word_embeddings": ("model.embed_tokens",),
    "transformer.encoder.final_layernorm": ("model.norm",),
    "transformer.output_layer": ("lm_head",),
    "transformer.encoder.layers.N.input_layernorm": ("model.layers.N.input_layernorm",),
    "transformer.encoder.layers.N.post_attention_layernorm": ("model.layers.N.post_attention_layernorm",),
    "transformer.encoder.layers.N.self_attention.query_key_value": tuple(
        f"model.layers.N.self_attn.{part}_proj" for part in "qkv"
    ),
    "transformer.encoder.layers.N.self_attention.dense": ("model.layers.N.self_attn.o_proj",),
    "transformer.encoder.layers.N.mlp.dense_h_to_4h": ("model.layers.N.mlp.gate_up_proj",),
    "transformer.encoder.layers.N.mlp.dense_4h_to_h": ("model.layers.N.mlp.down_proj",),
}
_IGNORED = (r"transformer\.rotary_pos_emb\.inv_freq",)

CHATGLM2 = Family(
    name="chatglm2",
    title="ChatGLM2-6B",
    modules=_MODULES,
    ignored=_IGNORED,
    map_config=_map_config,
    read_tokenizer=partial(_read_tokenizer, extra=_EXTRA),
    converse=_converse_rounds,
    describe_limits=lambda _: (_HALF_ROPE, _SPELLING),
)
CHATGLM3 = Family(
    name="chatglm3",
    title="ChatGLM3-6B",
    modules=_MODULES,
    ignored=_IGNORED,
    map_config=_map_config,
    read_tokenizer=partial(_read_tokenizer, extra=(*_EXTRA, *_ROLES)),
    converse=_converse_roles,
    describe_limits=lambda _: (_SPELLING,),
)
