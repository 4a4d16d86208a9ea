"""A model's shape in llama.cpp's words. In: its config. Out: an `Architecture`, or a refusal. It reads no weights.

llama.cpp knows each family under a name of its own, with fixed activations, biases and rotary embeddings. What a config asks
for beyond them would be ignored there, so it is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from extune.models.gguf.refusal import refuse

_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


@dataclass(frozen=True)
class Family:
    """What llama.cpp does with a family.

    Attributes:
        name: of its architecture.
        interleaved: it rotates neighbouring rows of queries and keys where transformers rotates halves: rows are permuted.
        biased: layers whose biases it adds.
    """

    name: str
    interleaved: bool
    biased: tuple[str, ...]


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", True, (*_ATTENTION, "self_attn.o_proj")),
    "mistral": Family("llama", True, ()),
    "qwen2": Family("qwen2", False, _ATTENTION),
    "qwen3": Family("qwen3", False, ()),
}
"""By `model_type` of transformers."""


@dataclass(frozen=True)
class Scaling:
    """Rotary scaling that llama.cpp computes by itself: `linear`, or `yarn` over `original` positions."""

    kind: str
    factor: float
    original: int | None = None


@dataclass(frozen=True)
class Architecture:
    """What llama.cpp wants to know of a model.

    Attributes:
        context: positions for which it computes what transformers does.
        rows: of the embedding; a tokenizer may have fewer tokens.
        width, inner: of hidden states; of the feed-forward layers.
        rope_factors: by which frequencies are divided, one for each pair of a head; None: by nothing.
        tied: the embedding is the output matrix too.
    """

    family: Family
    blocks: int
    context: int
    rows: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    theta: float
    scaling: Scaling | None
    rope_factors: torch.Tensor | None
    tied: bool


def read_architecture(config: PretrainedConfig, needed: int, where: str) -> Architecture:
    """The architecture of a config.

    Args:
        config: of the model.
        needed: positions that prompts and answers may take together.
        where: the model, for errors.

    Raises:
        ModelError: llama.cpp would compute something else.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise refuse(f"the architecture {config.model_type!r}", where=where, expected="one of " + ", ".join(FAMILIES))
    if getattr(config, "quantization_config", None) is not None:
        raise refuse("weights that are quantised already", where=where, expected="the run that they were made of")
    if config.hidden_act != "silu":
        raise refuse(f"hidden_act {config.hidden_act!r}", where=where, expected="'silu', which llama.cpp computes")
    rope = dict(config.rope_parameters)
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise refuse("partial_rotary_factor in rope_parameters", where=where, expected="heads that are rotated whole")
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    scaling, factors = _read_scaling(config, rope, where)
    return Architecture(
        family=family,
        blocks=config.num_hidden_layers,
        context=_context(config, needed, where),
        rows=config.vocab_size,
        width=config.hidden_size,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=head_size,
        epsilon=config.rms_norm_eps,
        theta=float(rope["rope_theta"]),
        scaling=scaling,
        rope_factors=factors,
        tied=bool(config.tie_word_embeddings),
    )


def _context(config: PretrainedConfig, needed: int, where: str) -> int:
    """Positions of the file. Under these names llama.cpp attends to all earlier tokens: the same up to a window's width."""
    window = getattr(config, "sliding_window", None)
    layers = getattr(config, "layer_types", None)
    if window is None or (layers is not None and "sliding_attention" not in layers):
        return int(config.max_position_embeddings)
    if needed > window:
        raise refuse(
            f"layers that see {window} tokens, while prompts and answers of this run take up to {needed}",
            where=where,
            expected="attention to all earlier tokens, or budgets within the window",
        )
    return int(min(window, config.max_position_embeddings))


def _read_scaling(config: PretrainedConfig, rope: Mapping[str, Any], where: str) -> tuple[Scaling | None, torch.Tensor | None]:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return None, None
    if kind == "linear":
        return Scaling(kind, float(rope["factor"])), None
    if kind == "llama3":
        plain = 1.0 / rope["rope_theta"] ** (torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim)
        scaled, _ = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
        return None, plain / scaled
    known = {"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings"}
    given = {key for key, value in rope.items() if value is not None}
    if kind == "yarn" and given <= known and "original_max_position_embeddings" in given:
        return Scaling(kind, float(rope["factor"]), int(rope["original_max_position_embeddings"])), None
    extra = f" with {', '.join(sorted(given - known))}" if kind == "yarn" and given - known else ""
    raise refuse(
        f"rotary scaling {kind!r}{extra}",
        where=where,
        expected="none, linear, llama3, or yarn with factor and original_max_position_embeddings",
    )
