"""Memory from shapes: what is counted equals what real models hold; what is estimated is never less than what they keep."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import Adafactor, AutoModelForCausalLM, GlmConfig, LlamaConfig, PretrainedConfig, PreTrainedModel, Qwen2Config

from extune.models.adapters import add_adapter
from extune.models.base_config import find_config
from extune.models.base_model import load_base, resolve_base
from extune.models.published_configs import PUBLISHED
from extune.models.quantize import quantization_of
from extune.recipe.adapters import METHODS
from extune.recipe.load import recipe_from_values
from extune.recipe.sections import ParallelSection, Recipe
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import shared_prefix_length
from extune.training import packed_attention
from extune.training.batches import BatchCollator, target_losses
from extune.training.memory_estimate import bytes_in_4bit, fits, measure_model, optimizer_bytes
from extune.training.memory_of_activations import PackShape
from extune.training.packed_attention import packed_attention_in
from extune.training.precision import Precision, precision_where

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 97,
    "pad_token_id": None,
}
CONFIGS = {
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "llama": LlamaConfig(**SIZES, num_key_value_heads=4),
    "glm": GlmConfig(**SIZES, num_key_value_heads=2, head_dim=16),
}
FLOAT32 = Precision("float32", autocast=False)


def recipe_with(adapter: dict[str, Any] | None = None, **training: Any) -> Recipe:
    return recipe_from_values({"task": {"kind": "extraction", "types": ["药"]}, "adapter": adapter or {}, "training": training})


def build(config: PretrainedConfig) -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(config)


def trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [one for one in model.parameters() if one.requires_grad]


def bytes_of(tensors: Any) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("method", METHODS)
def test_weights_and_adapter_are_those_of_the_real_model(method: str, name: str) -> None:
    if method in ("prompt_tuning", "p_tuning", "prefix_tuning"):
        adapter: dict[str, Any] = {"method": method, "num_virtual_tokens": 5}
    else:
        adapter = {"method": method}
    if method == "prompt_tuning":
        adapter["prompt_tuning_init"] = "RANDOM"
    recipe = recipe_with(adapter)
    memory = measure_model(CONFIGS[name], recipe, FLOAT32)
    base = build(CONFIGS[name])
    own = {id(one) for one in base.parameters()}
    whole, count = bytes_of(base.parameters()), sum(one.numel() for one in base.parameters())
    model = add_adapter(base, recipe.adapter)
    assert memory.parameters == count
    assert memory.trained == sum(one.numel() for one in trained(model))
    assert memory.fixed.gradients == bytes_of(trained(model))
    assert memory.fixed.adapter == bytes_of(one for one in trained(model) if id(one) not in own)
    if method != "qlora":
        assert memory.fixed.weights == whole


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("shape", [(64, 64), (160, 64), (300, 257)])
def test_four_bits_take_what_bitsandbytes_takes(shape: tuple[int, int], double: bool) -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    packed, state = functional.quantize_4bit(torch.randn(shape), compress_statistics=double, quant_type="nf4")
    held = [packed, state.absmax, *([state.state2.absmax, state.offset] if double else [])]
    assert bytes_in_4bit(math.prod(shape), double=double) == bytes_of(held)


@pytest.mark.parametrize("optim", ["adamw_torch", "adafactor"])
def test_optimizer_states_are_those_of_a_real_step(optim: str) -> None:
    weights = [torch.nn.Parameter(torch.randn(*shape)) for shape in ((7, 5), (11,), (3, 4, 6))]
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(weights) if optim == "adamw_torch" else Adafactor(weights)
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    held = [one for state in optimizer.state.values() for one in state.values() if torch.is_tensor(one) and one.dim()]
    assert sum(optimizer_bytes(optim, tuple(one.shape)) for one in weights) == bytes_of(held)


def test_eight_bit_states_are_those_of_a_real_step() -> None:
    optim = pytest.importorskip("bitsandbytes.optim")
    weights = [torch.nn.Parameter(torch.randn(*shape)) for shape in ((128, 64), (96, 96), (20, 20))]
    optimizer = optim.AdamW8bit(weights)
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    names = ("state1", "state2", "absmax1", "absmax2")
    held = [state[name] for state in optimizer.state.values() for name in names if name in state]
    assert sum(optimizer_bytes("adamw_8bit", tuple(one.shape)) for one in weights) == bytes_of(held)


def test_a_base_in_four_bits_is_what_is_loaded() -> None:
    pytest.importorskip("bitsandbytes")
    recipe = recipe_with({"method": "qlora"})
    planned = measure_model(find_config("embedded").config, recipe, Precision("bfloat16", autocast=True))
    model = load_base(resolve_base("embedded"), "bfloat16", "cpu", quantization_of(recipe.adapter))
    states = [one.quant_state for one in model.parameters() if getattr(one, "quant_state", None) is not None]
    scales = [scale for state in states for scale in (state.absmax, state.state2.absmax, state.offset)]
    assert states
    assert planned.fixed.weights == bytes_of([*model.parameters(), *scales])


def test_eight_bit_states_are_a_quarter_but_for_small_tensors() -> None:
    assert optimizer_bytes("adamw_8bit", (1024, 64)) == 2 * (65536 + 4 * 256)
    assert optimizer_bytes("paged_adamw_8bit", (63, 65)) == optimizer_bytes("adamw_torch", (63, 65))


def kept_by(model: torch.nn.Module, rows: list[EncodedRow], packing: bool) -> int:
    """Bytes that the backward pass of all rows in one pack needs, weights left out."""
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, int] = {}

    def remember(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    (pack,) = BatchCollator("shared_prefix" if packing else "plain", max_tokens=1 << 20).packs(rows)
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        losses = target_losses(model.train(), pack)
    del losses
    return sum(kept.values())


BFLOAT16 = {True: Precision("float32", autocast=True), False: Precision("bfloat16", autocast=True)}
"""By whether the whole model is trained; with dropout CPUs keep more than the GPUs that are planned for."""


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("adapter", [{"lora_dropout": 0.0}, {"method": "full"}, {"method": "prefix_tuning"}], ids=str)
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("exact", [True, False], ids=["float32", "bfloat16"])
def test_activations_are_never_estimated_too_low(
    exact: bool, name: str, adapter: dict[str, Any], packing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor so high that the estimate says nothing: at most three times what is kept."""
    monkeypatch.setattr(packed_attention, "SHORT", 0)  # in float32 CPUs keep more than the GPUs that are planned for
    recipe = recipe_with(adapter)
    precision = FLOAT32 if exact else BFLOAT16[recipe.adapter.writes_model]
    torch.manual_seed(0)
    model = add_adapter(build(CONFIGS[name]).to(getattr(torch, precision.weights)), recipe.adapter)
    ids = torch.randint(0, 97, (4, 30)).tolist()
    rows = [EncodedRow(str(number), (*range(40), *row), 60, "") for number, row in enumerate(ids)]
    memory = measure_model(CONFIGS[name], recipe, precision)
    assert memory.obstacle is None
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    with (
        packed_attention_in(inner) if packing else nullcontext(),
        torch.autocast("cpu", torch.bfloat16, enabled=precision.autocast),
    ):
        kept = kept_by(model, rows, packing)
    prefix = shared_prefix_length(rows) if packing else 0
    pack = PackShape(4, prefix, 70, 40, shared=packing)
    assert kept <= memory.fixed.casts + sum(memory.varying(pack)) <= 3 * kept


def test_sharing_and_checkpointing_save_memory() -> None:
    memory = measure_model(CONFIGS["qwen2"], recipe_with(), FLOAT32)
    checkpointed = measure_model(CONFIGS["qwen2"], recipe_with(gradient_checkpointing=True), FLOAT32)
    packed, padded = PackShape(8, 50, 70, 40, shared=True), PackShape(8, 0, 70, 40, shared=False)
    assert sum(memory.varying(packed)) < sum(memory.varying(padded))
    assert sum(checkpointed.varying(padded)) < sum(memory.varying(padded))
    assert memory.fixed == checkpointed.fixed


def test_a_method_that_cannot_pack_is_planned_padded() -> None:
    memory = measure_model(CONFIGS["llama"], recipe_with({"method": "p_tuning", "num_virtual_tokens": 5}), FLOAT32)
    assert memory.obstacle is not None


@pytest.mark.parametrize(
    ("name", "parameters"),  # as their authors publish them, or as counted from the released weights
    [
        ("hf:Qwen/Qwen2-7B-Instruct", 7_615_616_512),
        ("modelscope:qwen/Qwen1.5-7B-Chat", 7_721_324_544),
        ("hf:Qwen/Qwen1.5-0.5B", 463_987_712),
        ("hf:Qwen/Qwen-1_8B-Chat", 1_836_828_672),
        ("hf:baichuan-inc/Baichuan-7B", 7_000_559_616),
        ("hf:THUDM/chatglm3-6b", 6_243_584_000),
    ],
)
def test_published_shapes_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    found = find_config(name)
    memory = measure_model(found.config, recipe_with({"target_modules": "all-linear"}), Precision("bfloat16", autocast=True))
    assert memory.parameters == parameters
    assert memory.fixed.weights == 2 * parameters
    assert memory.fixed.adapter == 4 * memory.trained


def test_four_bits_shrink_all_matrices_but_the_first_and_the_last() -> None:
    config = CONFIGS["llama"]
    whole = measure_model(config, recipe_with(), Precision("bfloat16", autocast=True))
    small = measure_model(config, recipe_with({"method": "qlora"}), Precision("bfloat16", autocast=True))
    model = build(config)
    matrices = [one.weight.numel() for one in model.model.modules() if isinstance(one, torch.nn.Linear)]
    saved = sum(2 * one - bytes_in_4bit(one, double=True) for one in matrices)
    assert whole.fixed.weights - small.fixed.weights == saved
    assert small.fixed.adapter == whole.fixed.adapter


def test_a_tenth_is_left_free() -> None:
    assert fits(90, 100)
    assert not fits(91, 100)


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16", "float16"])
def test_precision_elsewhere_holds_frozen_bases_small(dtype: str) -> None:
    there = precision_where(dtype, "lora", gpu=True, native=True)
    assert there == (FLOAT32 if dtype == "float32" else Precision("bfloat16", autocast=True))
    assert precision_where(dtype, "full", gpu=True, native=True).weights == "float32"


def test_names_of_published_shapes_are_in_small_letters() -> None:
    assert all(name == name.lower() and name.count("/") == 1 for name in PUBLISHED)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("strategy", ["ddp", "zero1", "zero2", "fsdp"])
def test_processes_hold_their_share_of_what_the_strategy_divides(strategy: str, method: str) -> None:
    recipe = recipe_with({"method": method}).model_copy(update={"parallel": ParallelSection(strategy=strategy)})
    config = find_config("embedded").config
    whole, part = (measure_model(config, recipe, FLOAT32, processes).fixed for processes in (1, 4))
    everywhere = {"ddp": set(), "zero1": {"optimizer"}, "zero2": {"optimizer", "gradients"}, "fsdp": {"weights"}}[strategy]
    if (strategy, method) == ("fsdp", "full"):
        everywhere |= {"optimizer", "gradients"}
    for name in ("weights", "adapter", "gradients", "optimizer", "casts"):
        assert getattr(part, name) == getattr(whole, name) // (4 if name in everywhere else 1), name
    assert (part.gathered > 0) == (strategy == "fsdp")
    assert part.total <= whole.total
    assert whole.gathered == 0
