"""Shape of the embedded base: Qwen3, 7.7 M parameters, at most 16 MiB in bf16."""

from __future__ import annotations

from transformers import Qwen3Config, Qwen3ForCausalLM

CONTEXT = 4096
VOCABULARY = 7168


def build_config(end_of_text_id: int, turn_end_id: int) -> Qwen3Config:
    """The architecture; head width 64 keeps vLLM's kernels usable, tied embeddings keep the file small."""
    return Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=None,
        eos_token_id=turn_end_id,
        pad_token_id=end_of_text_id,
    )


def build_model(config: Qwen3Config) -> Qwen3ForCausalLM:
    """Randomly initialised in fp32; the trainer keeps fp32 masters and runs a bf16 copy.

    Plain matrix attention: compiled, in bf16 and at 256 tokens, it is faster on a CPU than the flash kernel.
    """
    return Qwen3ForCausalLM._from_config(config, attn_implementation="eager")
