"""What is trained on top of a base, through peft. In: a model and the `adapter` section. Out: a model ready to train.

It knows nothing about runs and contracts, only about folders in PEFT layout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoder,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.utils import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import DynamicCache, PreTrainedModel

from extune.errors import RecipeError, RunError
from extune.recipe.adapters import (
    AdapterSection,
    FreezeAdapter,
    FullAdapter,
    Ia3Adapter,
    LoraAdapter,
    PrefixTuningAdapter,
    PromptTuningAdapter,
    PTuningAdapter,
    QloraAdapter,
)

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PROMPT_ENCODER = "prompt_encoder.safetensors"
_ONE_FUNCTION = ("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "num_virtual_tokens")
"""Settings without which the same weights are another function."""


def add_adapter(model: PreTrainedModel, section: AdapterSection) -> PreTrainedModel | PeftModel:
    """The model with a fresh adapter, all else frozen; for `full` and `freeze` the model itself, all or some of it trainable.

    Adapter weights are float32 also on a bfloat16 base: small updates are lost in bfloat16.

    Raises:
        RecipeError: `target_modules` names nothing in this base, or it has fewer layers than are to be trained.
    """
    if isinstance(section, FullAdapter):
        return model.requires_grad_(True)
    if isinstance(section, FreezeAdapter):
        return _freeze_below(model, section.num_trainable_layers)
    try:
        return get_peft_model(model, _build_config(model, section), autocast_adapter_dtype=True)
    except ValueError as error:
        if not isinstance(section, LoraAdapter | QloraAdapter | Ia3Adapter):
            raise
        raise RecipeError(
            f"target_modules {section.target_modules!r} match nothing in this base",
            where="adapter.target_modules",
            expected="all-linear, or some of " + ", ".join(_linear_names(model)),
            fix="adapter.target_modules=all-linear",
        ) from error


def _build_config(model: PreTrainedModel, section: AdapterSection) -> PeftConfig:
    match section:
        case LoraAdapter() | QloraAdapter():
            return LoraConfig(
                task_type=TaskType.CAUSAL_LM,
                r=section.r,
                lora_alpha=section.lora_alpha,
                lora_dropout=section.lora_dropout,
                target_modules=_names(section.target_modules),
                use_rslora=section.use_rslora,
                use_dora=section.use_dora,
            )
        case Ia3Adapter():
            # peft writes all-linear out as names and then wants those that are scaled at their input among them
            targets = _linear_names(model) if section.target_modules == "all-linear" else _names(section.target_modules)
            at_input = TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING.get(model.config.model_type, ())
            return IA3Config(
                task_type=TaskType.CAUSAL_LM,
                target_modules=targets,
                feedforward_modules=[name for name in at_input if name in targets],
            )
        case PrefixTuningAdapter():
            return PrefixTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=section.num_virtual_tokens)
        case PromptTuningAdapter():
            return PromptTuningConfig(
                task_type=TaskType.CAUSAL_LM,
                num_virtual_tokens=section.num_virtual_tokens,
                prompt_tuning_init=section.prompt_tuning_init,
            )
        case PTuningAdapter():
            return PromptEncoderConfig(
                task_type=TaskType.CAUSAL_LM,
                num_virtual_tokens=section.num_virtual_tokens,
                encoder_reparameterization_type=section.encoder_reparameterization_type,
                encoder_hidden_size=section.encoder_hidden_size,
            )
    raise TypeError(f"no adapter for {type(section).__name__}")


def _linear_names(model: PreTrainedModel) -> list[str]:
    """Last parts of the names of all linear layers but the one that writes logits, sorted."""
    head = model.get_output_embeddings()
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not head]
    return sorted({name.rsplit(".", 1)[-1] for name in linear})


def _names(targets: str | tuple[str, ...]) -> str | list[str]:
    return targets if isinstance(targets, str) else list(targets)


def _freeze_below(model: PreTrainedModel, count: int) -> PreTrainedModel:
    """The model with only its last `count` layers trainable."""
    total = model.config.get_text_config().num_hidden_layers
    layers = next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == total)
    if count > total:
        raise RecipeError(
            f"num_trainable_layers is {count}, the base has {total} layers",
            where="adapter.num_trainable_layers",
            expected=f"1 to {total}",
            fix="a smaller number, or adapter.method=full",
        )
    model.requires_grad_(False)
    layers[total - count :].requires_grad_(True)
    return model


def load_adapter(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """The base with the adapter in `folder` (PEFT layout) on it.

    Raises:
        RunError: a file is missing or corrupted, or the adapter was trained on a base of another shape.
    """
    _require_files(folder)
    try:
        return PeftModel.from_pretrained(model, folder, is_trainable=trainable, local_files_only=True)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        raise _unreadable(folder, error) from error


def continue_adapter(model: PreTrainedModel, section: AdapterSection, folder: Path) -> PeftModel:
    """The base with the adapter in `folder` on it, trainable; what leaves the function as it is, dropout, is the section's.

    Raises:
        RunError: a file is missing or corrupted.
        RecipeError: the section describes another adapter.
    """
    _require_files(folder)
    try:
        before = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / _WEIGHTS)
    except (ValueError, OSError, SafetensorError) as error:
        raise _unreadable(folder, error) from error
    adapted = add_adapter(model, section)
    now = adapted.peft_config["default"].to_dict()
    differing = [
        f"{key}: {_plain(before.get(key))} there, {_plain(now.get(key))} here"
        for key in _ONE_FUNCTION
        if _plain(before.get(key)) != _plain(now.get(key))
    ]
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    if not differing and {key: one.shape for key, one in weights.items()} != {key: one.shape for key, one in expected.items()}:
        both = len(weights.keys() & expected.keys())
        differing = [f"trained weights: {len(weights)} there, {len(expected)} here, {both} of them with the same name"]
    if differing:
        raise RecipeError(
            "the adapter to continue is another one than the recipe describes: " + "; ".join(differing),
            where="base.adapter",
            expected="an adapter section with the method, sizes and target_modules of the run in base.adapter",
            fix=f"copy them from {folder.parent / 'recipe.yaml'}, or leave base.adapter out",
        )
    set_peft_model_state_dict(adapted, weights)
    load_prompt_encoder(adapted, folder)
    return adapted


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)  # peft's enumerations are strings in a file


def save_prompt_encoder(model: PreTrainedModel | PeftModel, folder: Path) -> None:
    """Beside the embeddings that p_tuning made, which is all that peft saves, the network that makes them: to train on."""
    encoder = _prompt_encoder(model)
    if encoder is not None:
        save_file({name: weight.contiguous() for name, weight in encoder.state_dict().items()}, folder / _PROMPT_ENCODER)


def load_prompt_encoder(model: PreTrainedModel | PeftModel, folder: Path) -> None:
    """Put back what `save_prompt_encoder` wrote; peft would put the embeddings that were made into the place of its input.

    Raises:
        RunError: the file is missing, corrupted, or of a network of another shape.
    """
    encoder = _prompt_encoder(model)
    if encoder is None:
        return
    try:
        encoder.load_state_dict(load_file(folder / _PROMPT_ENCODER))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise _unreadable(folder / _PROMPT_ENCODER, error) from error


def count_virtual_tokens(model: PreTrainedModel | PeftModel) -> int:
    """Learned tokens that stand before every prompt; 0 for methods that change weights."""
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        return int(model.active_peft_config.num_virtual_tokens)
    return 0


def fill_cache_with_virtual_tokens(model: PeftModel) -> DynamicCache:
    """The keys and values of the learned tokens, from which the bare base (`model.get_base_model()`) goes on."""
    prompt = model.get_prompt(batch_size=1)
    if isinstance(prompt, DynamicCache):  # prefix tuning learns keys and values themselves
        return prompt
    base = model.get_base_model()
    cache = DynamicCache(config=base.config)
    embeddings = prompt.to(base.get_input_embeddings().weight.dtype)
    base(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _prompt_encoder(model: PreTrainedModel | PeftModel) -> PromptEncoder | None:
    """The network of p_tuning; None for any other method."""
    if not count_virtual_tokens(model):
        return None
    encoder = model.prompt_encoder[model.active_adapter]
    return encoder if isinstance(encoder, PromptEncoder) else None


def _require_files(folder: Path) -> None:
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise RunError(
                f"{name} is missing",
                where=str(folder),
                expected="an adapter in PEFT layout with safetensors",
                fix="copy the folder again from the original run, or train again",
            )


def _unreadable(where: Path, error: Exception) -> RunError:
    return RunError(
        f"the adapter cannot be loaded: {str(error).strip().splitlines()[0][:200]}",
        where=str(where),
        expected="the adapter that was trained on this base",
        fix="copy the folder again from the original run, or train again",
    )
