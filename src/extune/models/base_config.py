"""The config of a base without its weights. In: `base.model`. Out: a config, and where it is from.

A folder, or a file in a hub's cache, goes before the published shapes. Nothing is downloaded, no code of a model is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PretrainedConfig

from extune.errors import ModelError, RecipeError
from extune.models.base_model import EMBEDDED, refuse_code
from extune.models.hub.cache import find_downloaded
from extune.models.legacy.recognise import is_legacy, recognise
from extune.models.published_configs import PUBLISHED
from extune.recipe.hub_name import parse_hub_model

_CONFIG = "config.json"


@dataclass(frozen=True)
class BaseConfig:
    """A config and where it is from.

    Attributes:
        config: of the native architecture.
        origin: for people.
        folder: that holds it, with the tokenizer where that is here too; None for published shapes.
    """

    config: PretrainedConfig
    origin: str
    folder: Path | None


def find_config(name: str, revision: str | None = None) -> BaseConfig:
    """The config of the base called `name`.

    Args:
        name: `embedded`, a local folder, `hf:ORG/NAME` or `modelscope:ORG/NAME`.
        revision: of a hub's model.

    Raises:
        RecipeError: it is not on this machine and its shape is not known.
        ModelError: its config cannot be read, needs code of its own, or belongs to no architecture that extune runs.
    """
    if name == EMBEDDED:
        return _read(Path(str(files("extune").joinpath("shipped", "base"))), "shipped with extune")
    model = parse_hub_model(name)
    if model is None:
        folder = Path(name).expanduser()
        if not (folder / _CONFIG).is_file():
            raise RecipeError(
                f"there is no {_CONFIG} in {name!r}",
                where="base.model",
                expected=f"{EMBEDDED!r}, a local folder in Hugging Face layout, hf:ORG/NAME or modelscope:ORG/NAME",
                fix="check the path, or use base.model=embedded",
            )
        return _read(folder, str(folder / _CONFIG))
    cached = find_downloaded(model, revision)
    if cached is not None:
        return _read(cached, "downloaded")
    published = PUBLISHED.get(model.repository.lower())
    if published is None:
        raise RecipeError(
            f"the shape of {name} is not known here",
            where="base.model",
            expected="a base whose config.json is on this machine, or one of " + ", ".join(PUBLISHED),
            fix=f"download its {_CONFIG} into a folder and name the folder: base.model=FOLDER",
        )
    return BaseConfig(_build(dict(published), name), "its published config.json", None)


def _read(folder: Path, origin: str) -> BaseConfig:
    if is_legacy(folder):
        family, legacy = recognise(folder)
        return BaseConfig(_build(family.map_config(legacy), str(folder)), f"{origin}, converted", None)
    refuse_code(folder / _CONFIG)
    try:
        return BaseConfig(AutoConfig.from_pretrained(folder, local_files_only=True), origin, folder)
    except (ValueError, KeyError, OSError, StrictDataclassError) as error:
        raise _unknown(str(folder), error) from error


def _build(values: dict[str, Any], where: str) -> PretrainedConfig:
    try:
        return AutoConfig.for_model(**values)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise _unknown(where, error) from error


def _unknown(where: str, error: Exception) -> ModelError:
    return ModelError(
        f"the config cannot be used: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}",
        where=where,
        expected="the config.json of a causal language model whose architecture transformers knows",
        fix="copy config.json again from its origin",
    )
