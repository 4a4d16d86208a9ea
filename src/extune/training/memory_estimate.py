"""How much memory a training takes, from the shapes of its model alone. In: a config, a recipe's sections. Out: bytes.

Weights, adapter, gradients and optimizer are counted exactly, on a model whose tensors have shapes and no content (torch's meta
device). Activations and logits are upper estimates. Framework, kernels' workspace and fragmentation come on top: `HEADROOM`.
It knows nothing about text and tokenizers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from extune.models.adapters import add_adapter, count_virtual_tokens
from extune.models.pieces import count_gathered
from extune.recipe.adapters import AdapterSection, LoraAdapter, PromptTuningAdapter, QloraAdapter
from extune.recipe.sections import Recipe
from extune.training.memory_of_activations import PackShape, TrainedShape, activation_bytes, logit_bytes
from extune.training.memory_shares import Shares, shares_of
from extune.training.precision import Precision
from extune.training.preflight import packing_obstacle

HEADROOM = 0.1
"""Share of a GPU's memory that is left to the CUDA context, libraries' workspace and fragmentation."""

_FLOAT32 = 4
_BLOCK_4BIT, _BLOCKS_DOUBLE, _BLOCK_8BIT, _LEAST_8BIT = 64, 256, 256, 4096
"""bitsandbytes: weights that share a scale, scales that share a scale's scale, states that share a scale, and the number of
states below which they stay in 32 bits."""


@dataclass(frozen=True)
class FixedMemory:
    """What does not depend on the texts, in bytes, in one of the processes that train together.

    Attributes:
        weights: of the base, as it is held while it trains; for `full` and `freeze` all of the model.
        adapter: trained weights beside the base, float32.
        gradients: of everything that is trained, float32.
        optimizer: its states.
        casts: copies of trained weights in bfloat16 (autocast), and the largest matrix that 4 bits are unpacked to.
        gathered: of weights in pieces, what is whole at one time: the head's, a layer's and the next one's, and their gradients
            where they are trained.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    casts: int
    gathered: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapter + self.gradients + self.optimizer + self.casts + self.gathered

    def divided(self, shares: Shares, gathered: int) -> FixedMemory:
        """The part of one of several processes."""
        return replace(
            self,
            weights=self.weights // shares.weights,
            adapter=self.adapter // shares.adapter,
            gradients=self.gradients // shares.gradients,
            optimizer=self.optimizer // shares.optimizer,
            gathered=gathered,
        )


@dataclass(frozen=True)
class ModelMemory:
    """A model that could be trained, measured without having it.

    Attributes:
        parameters: of the base.
        trained: parameters that change.
        obstacle: why batches cannot share their prefix; None where they can.
        shape: what activations depend on.
    """

    parameters: int
    trained: int
    fixed: FixedMemory
    obstacle: str | None
    shape: TrainedShape

    def varying(self, pack: PackShape) -> tuple[int, int]:
        """Bytes of activations and of logits of one pack."""
        return activation_bytes(self.shape, pack), logit_bytes(self.shape, pack)


def measure_model(config: PretrainedConfig, recipe: Recipe, precision: Precision, processes: int = 1) -> ModelMemory:
    """Build the model with its adapter on the meta device and count.

    Args:
        config: of the base.
        recipe: of which adapter and training sections count.
        precision: in which it is to train.
        processes: that train together, each on a GPU of its own; the memory is that of one.
    """
    section, packing = recipe.adapter, recipe.training.packing
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(config)
        head = base.get_output_embeddings()
        linear = [part.weight for part in base.modules() if isinstance(part, torch.nn.Linear) and part is not head]
        whole = {id(weight): weight for weight in base.parameters()}
        model = add_adapter(base, _without_values(section))
    quantised = {id(weight) for weight in linear} if isinstance(section, QloraAdapter) else set()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    width = 2 if precision.weights == "bfloat16" else _FLOAT32
    weights = sum(
        bytes_in_4bit(one.numel(), double=section.bnb_4bit_use_double_quant)
        if isinstance(section, QloraAdapter) and key in quantised
        else one.numel() * width
        for key, one in whole.items()
    )
    casts = sum(2 * one.numel() for one in trained if one.dim() > 1) if precision.autocast else 0
    casts += max((2 * one.numel() for key, one in whole.items() if key in quantised), default=0)
    fixed = FixedMemory(
        weights=weights,
        adapter=sum(_FLOAT32 * one.numel() for one in trained if id(one) not in whole),
        gradients=sum(_FLOAT32 * one.numel() for one in trained),
        optimizer=sum(optimizer_bytes(recipe.training.optim, tuple(one.shape)) for one in trained),
        casts=casts,
    )
    strategy = recipe.parallel.strategy
    shares = shares_of(strategy, processes, trains_adapter=not section.writes_model)
    gathered = count_gathered(base) * width * (2 if section.writes_model else 1) if shares.weights > 1 else 0
    text = config.get_text_config()
    computed = 2 if precision.autocast or precision.weights == "bfloat16" else _FLOAT32
    return ModelMemory(
        parameters=sum(one.numel() for one in whole.values()),
        trained=sum(one.numel() for one in trained),
        fixed=fixed.divided(shares, gathered),
        obstacle=packing_obstacle(model) if packing == "shared_prefix" else f"training.packing is {packing}",
        shape=TrainedShape(
            hidden=text.hidden_size,
            layers=text.num_hidden_layers,
            heads=text.num_attention_heads,
            kv_heads=getattr(text, "num_key_value_heads", None) or text.num_attention_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            mlp=_mlp_width(text),
            vocabulary=text.vocab_size,
            adapter_bytes=_adapter_bytes(section, model, computed) / text.num_hidden_layers,
            virtual=count_virtual_tokens(model),
            width=computed,
            checkpointed=recipe.training.gradient_checkpointing is True,
            prefix_cache=section.method == "prefix_tuning",
            whole=section.writes_model,
        ),
    )


def bytes_in_4bit(numel: int, *, double: bool) -> int:
    """A matrix in 4 bits with its scales (Dettmers et al. 2023, arXiv:2305.14314, section 3, as bitsandbytes holds it).

    Every 64 weights share a float32 scale. With double quantisation the scales are 8-bit numbers of which every 256 share a
    float32 scale, beside one float32 offset. The code tables, a kilobyte for all matrices, are left out.
    """
    packed, scales = math.ceil(numel / 2), math.ceil(numel / _BLOCK_4BIT)
    return packed + (scales + 4 * math.ceil(scales / _BLOCKS_DOUBLE) + 4 if double else 4 * scales)


def optimizer_bytes(optim: str, shape: tuple[int, ...]) -> int:
    """States of one trained tensor.

    AdamW: mean and mean square, float32. In 8 bits (Dettmers et al. 2022, arXiv:2110.02861): one byte each and a float32 scale
    per 256, but float32 below 4,096 elements; paged states count too, though they may leave the GPU. Adafactor (Shazeer and
    Stern 2018, arXiv:1804.04235): row and column means of the square for tensors of two dimensions and more, without momentum.
    """
    numel = math.prod(shape)
    if optim == "adafactor":
        factored = math.prod(shape[:-1]) + math.prod(shape[:-2] + shape[-1:]) if len(shape) > 1 else numel
        return _FLOAT32 * factored
    if optim.endswith("8bit") and numel >= _LEAST_8BIT:
        return 2 * (numel + _FLOAT32 * math.ceil(numel / _BLOCK_8BIT))
    return 2 * _FLOAT32 * numel


def fits(total: int, memory: int) -> bool:
    """Whether `total` bytes fit into a GPU with `memory` bytes, `HEADROOM` left free."""
    return total <= (1 - HEADROOM) * memory


def _without_values(section: AdapterSection) -> AdapterSection:
    """Learned embeddings that begin as those of words need their values; as random ones they have the same size."""
    if isinstance(section, PromptTuningAdapter):
        return section.model_copy(update={"prompt_tuning_init": "RANDOM"})
    return section


def _adapter_bytes(section: AdapterSection, model: torch.nn.Module, width: int) -> float:
    """What LoRA keeps per token, in all layers: each target's input, a byte of its dropout's mask, A's output and its copy."""
    if not isinstance(section, LoraAdapter | QloraAdapter):
        return 0.0
    inputs = [part.weight.shape[1] for name, part in model.named_modules() if name.endswith("lora_A.default")]
    mask = 1 if section.lora_dropout > 0 else 0
    return float(sum((width + mask) * size + 2 * width * section.r for size in inputs))


def _mlp_width(text: PretrainedConfig) -> int:
    """Width of the layer that one token goes through; of a mixture of experts, that of the experts it is sent to, together."""
    settings: Mapping[str, int | None] = text.to_dict()
    experts = settings.get("num_experts_per_tok") or 1
    own = settings.get("moe_intermediate_size") or settings.get("intermediate_size") or 4 * text.hidden_size
    return experts * own
