"""What is trained on top of a base, through peft. In: a model and the `adapter` section. Out: a model ready to train."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors import SafetensorError
from transformers import PreTrainedModel

from extune.errors import RecipeError, RunError
from extune.recipe.sections import AdapterSection


def add_adapter(model: PreTrainedModel, section: AdapterSection) -> PreTrainedModel | PeftModel:
    """The model with a fresh adapter, all else frozen; for `full` the model itself, all of it trainable.

    LoRA weights are float32 also on a bfloat16 base: small updates are lost in bfloat16.

    Raises:
        RecipeError: `target_modules` names nothing in this base.
    """
    if section.method == "full":
        return model.requires_grad_(True)
    targets = section.target_modules
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=section.r,
        lora_alpha=section.lora_alpha,
        lora_dropout=section.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        use_rslora=section.use_rslora,
    )
    try:
        return get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        linear = sorted(
            {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
        )
        raise RecipeError(
            f"target_modules {targets!r} match nothing in this base",
            where="adapter.target_modules",
            expected="all-linear, or some of " + ", ".join(linear),
            fix="adapter.target_modules=all-linear",
        ) from error


def load_adapter(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """The base with the adapter in `folder` (PEFT layout) on it.

    Raises:
        RunError: a file is missing or corrupted, or the adapter was trained on a base of another shape.
    """
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise RunError(
                f"{name} is missing",
                where=str(folder),
                expected="an adapter in PEFT layout with safetensors",
                fix="copy the folder again from the original run, or train again",
            )
    try:
        return PeftModel.from_pretrained(model, folder, is_trainable=trainable, local_files_only=True)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        raise RunError(
            f"the adapter cannot be loaded: {str(error).strip().splitlines()[0][:200]}",
            where=str(folder),
            expected="the adapter that was trained on this base",
            fix="copy the folder again from the original run, or train again",
        ) from error
