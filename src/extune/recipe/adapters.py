"""The `adapter` section: one closed section per method, so that a key that a method does not have is an error.

In: what stands under `adapter`. Out: a frozen section; without `method` it is LoRA's. Names are PEFT's. It knows nothing about
models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from extune.recipe.section import Section

DEFAULT_METHOD = "lora"


class AdapterSection(Section):
    """What all methods have in common.

    Attributes:
        writes_model: the run holds whole weights in `model/`; else it holds an adapter and needs its base.
        adds_virtual_tokens: what is trained is a prefix before every prompt, which no merge can put into weights.
    """

    writes_model: ClassVar[bool] = False
    adds_virtual_tokens: ClassVar[bool] = False

    method: str


class _LowRank(AdapterSection):
    r: int = Field(16, ge=1, description="rank of the update")
    lora_alpha: float = Field(32, gt=0, description="the update is scaled by alpha / r")
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = Field("all-linear", description="or names such as [q_proj, v_proj]")
    use_rslora: bool = Field(False, description="scale by alpha / sqrt(r) instead of alpha / r")
    use_dora: bool = Field(False, description="learn the length of each weight column apart from its direction")
    loraplus_lr_ratio: float | None = Field(None, ge=1, description="LoRA+: learning rate of B over that of A, such as 16")


class LoraAdapter(_LowRank):
    """Low-rank updates beside frozen linear layers."""

    method: Literal["lora"] = Field("lora", description="others have other keys: qlora, full, freeze, ia3, ...")


class QloraAdapter(_LowRank):
    """LoRA on a base that is held in 4 bits."""

    method: Literal["qlora"] = "qlora"
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = Field(True, description="quantise the quantisation's scales too")


class Ia3Adapter(AdapterSection):
    """Learned factors on the activations of linear layers."""

    method: Literal["ia3"] = "ia3"
    target_modules: str | tuple[str, ...] = "all-linear"


class PrefixTuningAdapter(AdapterSection):
    """Learned keys and values before every prompt, in every layer: P-Tuning v2 of the ChatGLM repositories."""

    adds_virtual_tokens: ClassVar[bool] = True

    method: Literal["prefix_tuning"] = "prefix_tuning"
    num_virtual_tokens: int = Field(32, ge=1)


class PromptTuningAdapter(AdapterSection):
    """Learned embeddings before every prompt."""

    adds_virtual_tokens: ClassVar[bool] = True

    method: Literal["prompt_tuning"] = "prompt_tuning"
    num_virtual_tokens: int = Field(32, ge=1)
    prompt_tuning_init: Literal["SAMPLE_VOCAB", "RANDOM"] = Field("SAMPLE_VOCAB", description="begin with embeddings of words")


class PTuningAdapter(AdapterSection):
    """Learned embeddings before every prompt, made by a small network while training."""

    adds_virtual_tokens: ClassVar[bool] = True

    method: Literal["p_tuning"] = "p_tuning"
    num_virtual_tokens: int = Field(32, ge=1)
    encoder_reparameterization_type: Literal["MLP", "LSTM"] = "MLP"
    encoder_hidden_size: int | None = Field(None, ge=1, description="of that network; None: as wide as the base")


class FullAdapter(AdapterSection):
    """Every weight."""

    writes_model: ClassVar[bool] = True

    method: Literal["full"] = "full"


class FreezeAdapter(AdapterSection):
    """The last layers of the base; all below them, the embeddings included, stays as it is."""

    writes_model: ClassVar[bool] = True

    method: Literal["freeze"] = "freeze"
    num_trainable_layers: int = Field(2, ge=1, description="counted from the end")


METHODS: dict[str, type[AdapterSection]] = {
    "lora": LoraAdapter,
    "qlora": QloraAdapter,
    "full": FullAdapter,
    "freeze": FreezeAdapter,
    "ia3": Ia3Adapter,
    "prefix_tuning": PrefixTuningAdapter,
    "prompt_tuning": PromptTuningAdapter,
    "p_tuning": PTuningAdapter,
}


def method_of(value: Any) -> str:
    """The method that a section, or what stands for it in a recipe, names."""
    if isinstance(value, AdapterSection):
        return value.method
    method = value.get("method") if isinstance(value, Mapping) else None
    return DEFAULT_METHOD if method is None else str(method)


def methods_with(key: str) -> tuple[str, ...]:
    """Methods whose section has the key."""
    return tuple(method for method, section in METHODS.items() if key in section.model_fields)


AnyAdapter = Annotated[
    Annotated[LoraAdapter, Tag("lora")]
    | Annotated[QloraAdapter, Tag("qlora")]
    | Annotated[FullAdapter, Tag("full")]
    | Annotated[FreezeAdapter, Tag("freeze")]
    | Annotated[Ia3Adapter, Tag("ia3")]
    | Annotated[PrefixTuningAdapter, Tag("prefix_tuning")]
    | Annotated[PromptTuningAdapter, Tag("prompt_tuning")]
    | Annotated[PTuningAdapter, Tag("p_tuning")],
    Discriminator(method_of),
]
"""The section of one method, chosen by `method`."""
