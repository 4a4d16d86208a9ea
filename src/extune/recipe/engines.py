"""The `engine` section: what answers besides extune's own loop. One closed section per kind; without `kind` it is a server.

In: what stands under `engine`. Out: a frozen section. It knows nothing about runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from extune.recipe.endpoint import EndpointSection
from extune.recipe.section import Section

DEFAULT_ENGINE_KIND = "openai"


class VllmSection(Section):
    """How `--engine vllm` uses this machine. Nothing here changes what a model is asked; names are vLLM's where it has one."""

    kind: Literal["vllm"] = Field("vllm", description="offline vLLM, for predict, evaluate and parity")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share every layer")
    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, description="share of each GPU's memory for weights, keys and values"
    )
    kv_cache_gib: float | None = Field(
        None, gt=0, description="GiB of keys and values on each GPU; None: what the share above leaves, 4 on a CPU"
    )
    cpu_offload_gib: float = Field(0.0, ge=0, description="GiB of weights of each GPU that stay in main memory")
    max_num_seqs: int | None = Field(None, ge=1, description="answers under way at the same time; None: vLLM's own choice")
    enforce_eager: bool | None = Field(
        None, description="no graphs and no compiling: begins sooner, decodes slower; None: so on a CPU only"
    )
    speculate_tokens: int | None = Field(
        None, ge=1, description="guess so many tokens at a time from what follows equal n-grams of the prompt; None: none"
    )


ENGINE_SECTIONS: dict[str, type[Section]] = {"openai": EndpointSection, "vllm": VllmSection}


def kind_of(value: Any) -> str:
    """The kind that a section, or what stands for it in a recipe, names."""
    if isinstance(value, EndpointSection | VllmSection):
        return value.kind
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return DEFAULT_ENGINE_KIND if kind is None else str(kind)


AnyEngine = Annotated[
    Annotated[EndpointSection, Tag("openai")] | Annotated[VllmSection, Tag("vllm")],
    Discriminator(kind_of),
]
"""The section of one kind, chosen by `kind`."""
