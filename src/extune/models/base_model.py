"""Bases: found by name, checked before anything of them is run, hashed and loaded.

In: `base.model` of a recipe or contract. Out: a folder, a tokenizer, a model. It knows nothing about adapters and prompts.
Code that a model folder brings along is never run and weights are only read from safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from extune.errors import ModelError, RecipeError
from extune.files import hash_files, hash_text
from extune.models.hub.cache import download_model, find_commit, find_downloaded, open_hub
from extune.models.legacy.cache import native_folder
from extune.models.legacy.recognise import is_legacy, recognise
from extune.models.pieces import loading_in_pieces
from extune.models.quantize import keep_gradients, loading_arguments
from extune.recipe.hub_name import HubModel, parse_hub_model
from extune.recipe.sections import BaseSection
from extune.runs.contract import Quantization

EMBEDDED = "embedded"


def resolve_base(name: str, revision: str | None = None, endpoint: str | None = None) -> Path:
    """The folder of the base called `name`, ready to be loaded.

    Args:
        name: `embedded` for the one that ships with extune; a local folder in Hugging Face layout; or `hf:ORG/NAME` or
            `modelscope:ORG/NAME`, which is downloaded the first time. A legacy checkpoint (Qwen-1, Baichuan, ChatGLM) is
            converted the first time and taken from the cache afterwards.
        revision: of a hub's model: branch, tag or commit; None is the hub's main branch.
        endpoint: address of a mirror of that hub; None is the hub itself.

    Raises:
        RecipeError: there is no such folder, or no such model or revision on the hub.
        ModelError: the hub cannot be reached or refuses the model; a legacy checkpoint that cannot be represented exactly.
    """
    if name == EMBEDDED:
        return Path(str(files("extune").joinpath("shipped", "base")))
    model = _parse_hub_model(name)
    if model is not None:
        folder = download_model(open_hub(model, endpoint), revision, _require_usable)
        return native_folder(folder, model.repository.rpartition("/")[2])
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise RecipeError(
            f"base {name!r} is {'a file' if folder.exists() else 'not a folder here'}",
            where="base.model",
            expected=f"{EMBEDDED!r}, a local folder in Hugging Face layout, hf:ORG/NAME or modelscope:ORG/NAME",
            fix=f"base.model=hf:{name}" if _looks_like_a_hub_name(name) else "check the path, or use base.model=embedded",
        )
    return native_folder(folder)


def is_here(section: BaseSection) -> bool:
    """Whether nothing has to be downloaded for this base."""
    model = parse_hub_model(section.model)
    return model is None or find_downloaded(model, section.revision) is not None


def pin_base(section: BaseSection) -> BaseSection:
    """The section with the commit of a hub's model as its revision, so that all that follows uses the same files.

    Raises:
        ExtuneError: as `resolve_base`.
    """
    model = parse_hub_model(section.model)
    if model is None:
        return section
    commit = find_commit(open_hub(model, section.endpoint), section.revision)
    return section.model_copy(update={"revision": commit})


def choose_device(requested: str | None) -> str:
    """`requested`, or the fastest device here: cuda, then mps, then cpu.

    Raises:
        RecipeError: the requested device does not exist here.
    """
    available = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if requested is None:
        return available[0]
    kind, _, index = requested.partition(":")
    exists = kind in available and (
        not index or (index.isdigit() and (kind != "cuda" or int(index) < torch.cuda.device_count()))
    )
    if not exists:
        raise RecipeError(
            f"device {requested!r} is not available",
            where="--device",
            expected=f"one of {', '.join(available)}",
            fix=f"--device {available[0]}, or leave it out",
        )
    return requested


def choose_dtype(requested: str, device: str) -> str:
    """`requested`, or for `auto` what computes fast and exactly enough on `device`.

    `auto` is bfloat16 on GPUs that compute it natively and float32 everywhere else: on a CPU greedy answers should not
    depend on which other texts are in the batch, and only some CPUs multiply bfloat16 faster than float32.
    """
    if requested != "auto":
        return requested
    native = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`.

    Raises:
        ModelError: there is none, it needs code of its own, or it cannot be read.
    """
    for name in ("config.json", "tokenizer_config.json"):
        refuse_code(folder / name)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(
            "tokenizer.json is missing",
            where=str(folder),
            expected="a fast tokenizer in Hugging Face layout",
            fix="save it there with AutoTokenizer.from_pretrained(...).save_pretrained(...)",
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception for files that it cannot read
        raise ModelError(
            f"the tokenizer cannot be read: {_first_line(error)}",
            where=str(folder),
            expected="a fast tokenizer in Hugging Face layout",
            fix="copy tokenizer.json and tokenizer_config.json again from their origin",
        ) from error


def load_base(
    folder: Path, dtype: str, device: str, quantization: Quantization | None = None, pieces: int = 1
) -> PreTrainedModel:
    """The model in `folder`, in evaluation mode.

    Args:
        folder: from `resolve_base`, or any folder in Hugging Face layout with safetensors.
        dtype: `float32`, `bfloat16`, `float16`, or `auto` as in `choose_dtype`.
        device: from `choose_device`.
        quantization: hold linear layers in 4 bits and compute in `dtype`; None: whole weights.
        pieces: processes that hold a piece of every weight each, on their device; 1: this one holds all.

    Raises:
        ModelError: no config, no safetensors, a corrupted file, an unknown architecture, or code of its own.
        RecipeError: bitsandbytes or compressed-tensors, which the weights need, is not installed.
    """
    require_safetensors(folder)
    kind = getattr(torch, choose_dtype(dtype, device))
    try:
        arguments = loading_arguments(folder, quantization, kind, device)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=kind,
            use_safetensors=True,
            local_files_only=True,
            **arguments,
            **loading_in_pieces(pieces),
        )
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise ModelError(
            f"the model cannot be loaded: {_first_line(error)}",
            where=str(folder),
            expected="a causal language model whose architecture transformers knows",
            fix="check config.json, and that every safetensors file belongs to this model",
        ) from error
    if "device_map" in arguments:
        return keep_gradients(model).eval()
    return (model if pieces > 1 else model.to(device)).eval()


def require_safetensors(folder: Path) -> None:
    """Raise a ModelError where `folder` is not a model that can be read without running code from it."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(
            "config.json is missing",
            where=str(folder),
            expected="a model in Hugging Face layout",
            fix="name the folder that holds config.json and the *.safetensors files",
        )
    refuse_code(config)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise _pickled_weights(folder, sorted(path.name for path in folder.glob("*.bin")))
    for path in weights:
        _require_intact(path)


def hash_base(folder: Path) -> str:
    """SHA-256 over name, size and SHA-256 of config.json and of every safetensors file, hexadecimal."""
    require_safetensors(folder)
    return hash_files([folder / "config.json", *sorted(folder.glob("*.safetensors"))])


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of everything that decides which ids a text gets, hexadecimal; the same after saving and loading."""
    definition: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    for state in ("padding", "truncation"):  # left behind by whoever called the tokenizer last
        definition.pop(state, None)
    return hash_text(json.dumps(definition, ensure_ascii=False, sort_keys=True))


def _require_usable(folder: Path, names: Collection[str]) -> None:
    """Refuse a model of a hub by its settings, before gigabytes of weights are fetched."""
    if is_legacy(folder):
        recognise(folder)
        return
    for config in ("config.json", "tokenizer_config.json"):
        refuse_code(folder / config)
    if not any(name.endswith(".safetensors") for name in names):
        raise _pickled_weights(folder, sorted(name for name in names if name.endswith(".bin")))


def _parse_hub_model(name: str) -> HubModel | None:
    """As a recipe reads it; names also come from elsewhere than recipes."""
    try:
        return parse_hub_model(name)
    except ValueError as error:
        raise RecipeError(
            str(error), where="base.model", expected="hf:ORG/NAME or modelscope:ORG/NAME", fix="correct the name"
        ) from None


def _looks_like_a_hub_name(name: str) -> bool:
    return name.count("/") == 1 and all(name.split("/")) and name[0] not in "./~"


def _pickled_weights(folder: Path, found: Collection[str]) -> ModelError:
    return ModelError(
        f"no safetensors files, found {', '.join(found) or 'no weight files'}",
        where=str(folder),
        expected="weights as *.safetensors; pickled ones can run code and are not read",
        fix="convert them with the transformers library: model.save_pretrained(folder)",
    )


def refuse_code(config: Path) -> None:
    """Raise a ModelError where a settings file is no JSON, or asks for code that the folder brings along."""
    if not config.is_file():
        return
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(
            f"is not JSON: {_first_line(error)}",
            where=str(config),
            expected="a model in Hugging Face layout",
            fix="copy the file again from its origin",
        ) from error
    if isinstance(settings, dict) and "auto_map" in settings:
        raise ModelError(
            "auto_map asks for Python code that the model folder brings along",
            where=str(config),
            expected="an architecture that transformers itself contains; code from model folders is never run",
            fix="use a base without auto_map (for most families there is a converted one)",
        )


def _require_intact(path: Path) -> None:
    try:
        with safe_open(path, framework="pt") as weights:
            weights.keys()
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"the file is corrupted: {_first_line(error)}",
            where=str(path),
            expected="an intact safetensors file",
            fix="copy the file again from its origin",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
