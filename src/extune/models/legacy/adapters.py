"""LoRA adapters that were trained on legacy modules, for the native ones: exactly the same product.

In: an adapter folder and the converted base. Out: an adapter folder in PEFT layout. A fused module's adapter becomes one for
each of its parts: A is copied, B is cut by the same rows as the weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType
from safetensors.torch import save_file

from extune.errors import ModelError
from extune.files import atomic_folder
from extune.models.legacy.convert import convert_tensor
from extune.models.legacy.family import Family, NativeConfig, read_settings, refuse
from extune.models.legacy.note import read_family_name
from extune.models.legacy.plan import native_shapes
from extune.models.legacy.recognise import FAMILIES
from extune.models.legacy.weights import read_weights

_PREFIX = "base_model.model."
_LORA = re.compile(r"(?P<module>.+)\.(?P<kind>lora_A|lora_B|lora_embedding_A|lora_embedding_B)(?:\.weight)?")
_WEIGHT = re.compile(r"(?P<module>.+)\.(?P<kind>weight|bias)")
# Entries that are carried over, derived from the tensors, or say nothing about the product.
_READ = frozenset(
    ("r", "lora_alpha", "lora_dropout", "use_rslora", "peft_type", "task_type", "target_modules", "modules_to_save")
)
_HARMLESS = frozenset(
    """
    auto_mapping base_model_name_or_path bias exclude_modules inference_mode init_lora_weights layers_pattern
    layers_to_transform megatron_core peft_version qalora_group_size revision runtime_config
    """.split()  # noqa: SIM905 (a list would be five times as long)
)


def convert_adapter(source: Path, base: Path, out: Path) -> int:
    """Write the native adapter of `source` as the folder `out` and return its number of tensors.

    Args:
        source: folder with adapter_config.json and adapter_model.safetensors or .bin.
        base: the converted base on which it was trained.
        out: folder to write.

    Raises:
        ModelError: the adapter cannot be represented exactly, or does not belong to this base. Nothing is written.
    """
    family, native = FAMILIES[read_family_name(base)], read_settings(base / "config.json")
    config = read_settings(source / "adapter_config.json")
    _require_plain_lora(config, source)
    lora, saved = _convert_tensors(source, family, native)
    shapes = native_shapes(native)
    _require_complete(lora, config, shapes)
    _require_saved(saved, config, shapes)
    native_config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=str(base),
        inference_mode=True,
        r=config["r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config.get("lora_dropout", 0.0),
        use_rslora=bool(config.get("use_rslora")),
        modules_to_save=sorted({_last(name.rpartition(".")[0]) for name in saved}) or None,
    )
    native_config.target_modules = _target_modules(lora, native["num_hidden_layers"])  # here, or peft forgets the order
    tensors = {f"{_PREFIX}{name}": tensor for name, tensor in {**lora, **saved}.items()}
    with atomic_folder(out) as folder:
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        native_config.save_pretrained(str(folder))
    return len(tensors)


def _require_plain_lora(config: Mapping[str, Any], source: Path) -> None:
    """Refuse every setting under which an adapter computes more than `B A x`."""
    special = sorted(name for name, value in config.items() if value and name not in _READ | _HARMLESS)
    bias = config.get("bias", "none")
    problems = [
        *([f"peft_type is {config.get('peft_type')!r}"] if config.get("peft_type") != "LORA" else []),
        *([f"bias is {bias!r}"] if bias != "none" else []),
        *(f"{name} is {str(config[name])[:60]}" for name in special),
    ]
    if problems:
        raise refuse(
            "; ".join(problems),
            where=str(source / "adapter_config.json"),
            expected="a plain LoRA adapter",
            fix="merge the adapter with the software that trained it, then import the merged checkpoint as a base",
        )


def _convert_tensors(source: Path, family: Family, native: NativeConfig) -> tuple[dict[str, torch.Tensor], ...]:
    """Native LoRA tensors, and whole tensors of modules that were trained beside them, by native name."""
    lora: dict[str, torch.Tensor] = {}
    saved: dict[str, torch.Tensor] = {}
    for key, tensor in read_weights(_find_file(source)):
        name = key.removeprefix(_PREFIX)
        match = _LORA.fullmatch(name) or _WEIGHT.fullmatch(name)
        parts = family.split_module(match["module"], native) if match else ()
        if match is None or not parts:
            raise _foreign(f"{key} is no module of {family.title}")
        if match.re is _WEIGHT:
            saved |= {target: rows.clone() for target, rows in convert_tensor(tensor, name, parts, family).items()}
            continue
        kind = match["kind"]
        if family.unit_head and parts[0].module == "lm_head":
            raise _foreign(
                f"{key}: rows of {family.title}'s output layer are divided by their length after the adapter is added"
            )
        suffix = kind if "embedding" in kind else f"{kind}.weight"
        rows = torch.split(tensor, [part.rows or len(tensor) for part in parts]) if kind == "lora_B" else [tensor] * len(parts)
        lora |= {f"{part.module}.{suffix}": piece.clone() for part, piece in zip(parts, rows, strict=True)}
    return lora, saved


def _require_complete(
    lora: Mapping[str, torch.Tensor], config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Each adapted module has A and B, in shapes that fit the base."""
    for name, tensor in lora.items():
        module, kind = name.removesuffix(".weight").rsplit(".", 1)
        other = name.replace("_A", "_B") if kind.endswith("_A") else name.replace("_B", "_A")
        rows, columns = shapes[f"{module}.weight"]
        if "embedding" in kind:
            rows, columns = columns, rows
        expected = (config["r"], columns) if kind.endswith("_A") else (rows, config["r"])
        if other not in lora or tuple(tensor.shape) != expected:
            found = (
                f"has shape {list(tensor.shape)} instead of {list(expected)}" if other in lora else f"stands without {other}"
            )
            raise _foreign(f"{name} {found}")
    if not lora:
        raise _foreign("the adapter holds no LoRA matrices")


def _require_saved(saved: Mapping[str, torch.Tensor], config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [name for name, tensor in saved.items() if tuple(tensor.shape) != shapes.get(name)]
    if wrong or (saved and not config.get("modules_to_save")):
        raise _foreign(f"whole weights that modules_to_save does not explain: {', '.join(wrong or saved)}")


def _target_modules(lora: Mapping[str, torch.Tensor], layers: int) -> list[str]:
    """Last names of the adapted modules, or whole ones where a name is adapted in some layers only."""
    modules = sorted({re.sub(r"\.lora_.*", "", name) for name in lora})
    names = [_last(module) for module in modules]
    everywhere = all(names.count(_last(module)) == layers for module in modules if ".layers." in module)
    return sorted(set(names)) if everywhere else modules


def _last(module: str) -> str:
    return module.rpartition(".")[2]


def _find_file(source: Path) -> Path:
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        if (source / name).is_file():
            return source / name
    raise refuse(
        "no adapter weights",
        where=str(source),
        expected="adapter_model.safetensors or adapter_model.bin beside adapter_config.json",
        fix="copy all files of the adapter into the folder",
    )


def _foreign(what: str) -> ModelError:
    return refuse(
        what,
        where="adapter",
        expected="LoRA matrices of the linear modules of the base, each A with its B",
        fix="name the base on which it was trained with --base, or merge it with the software that trained it",
    )
