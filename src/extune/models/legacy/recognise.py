"""Which family a folder belongs to, from its config.json alone. In: a folder. Out: a family, or the reason for refusing it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from extune.errors import RecipeError
from extune.models.legacy.baichuan import BAICHUAN1, BAICHUAN2
from extune.models.legacy.chatglm import CHATGLM2, CHATGLM3
from extune.models.legacy.family import Config, Family, read_settings, refuse
from extune.models.legacy.qwen import QWEN1

FAMILIES: Mapping[str, Family] = {family.name: family for family in (QWEN1, BAICHUAN1, BAICHUAN2, CHATGLM2, CHATGLM3)}

# By the model_type of config.json.
_BY_TYPE: Mapping[str, Sequence[Family]] = {
    "qwen": (QWEN1,),
    "baichuan": (BAICHUAN1, BAICHUAN2),
    "chatglm": (CHATGLM2, CHATGLM3),
}
_BAICHUAN2_VOCABULARY = 125696


def is_legacy(folder: Path) -> bool:
    """True where `folder` holds a config.json of one of the families, or of a look-alike."""
    path = folder / "config.json"
    if not path.is_file():
        return False
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False  # whoever loads the folder says so
    return isinstance(config, dict) and config.get("model_type") in _BY_TYPE


def recognise(folder: Path, name: str | None = None) -> tuple[Family, Config]:
    """The family of the checkpoint in `folder` and its legacy config.

    Args:
        folder: holds config.json as it was released.
        name: of the family, where the config does not tell.

    Raises:
        ModelError: it is none of the families, or cannot be told from another.
        RecipeError: `name` is not one of `FAMILIES`, or the config contradicts it.
    """
    config = read_settings(folder / "config.json")
    return choose_family(config, read_settings(folder / "tokenizer_config.json"), name), config


def choose_family(config: Config, tokenizer_config: Config, name: str | None = None) -> Family:
    """As `recognise`, from entries instead of files."""
    candidates = _BY_TYPE.get(str(config.get("model_type")), ())
    if not candidates:
        raise refuse(
            f"model_type is {config.get('model_type')!r}" if config else "config.json is missing or empty",
            where="config.json",
            expected="one of " + ", ".join(_BY_TYPE) + "; other architectures need no conversion or have no verified one",
            fix="name a native base in base.model as it is",
        )
    _require_plain_weights(config)
    candidates[0].map_config(config)  # look-alikes are refused with their own reason, whichever member they resemble
    if name is not None:
        return _named(name, candidates, config)
    if candidates[0] is QWEN1:
        return QWEN1
    found = _tell_baichuan(config) if candidates[0] is BAICHUAN1 else _tell_chatglm(config, tokenizer_config)
    if found is None:
        titles = " or ".join(family.title for family in candidates)
        raise refuse(
            f"the config does not tell whether this is {titles}",
            where="config.json",
            expected="the config.json of a released checkpoint: the two differ in output layer, tokenizer or prompts",
            fix="extune import-base DIR OUT --family " + " or ".join(family.name for family in candidates),
        )
    return found


def _named(name: str, candidates: Sequence[Family], config: Config) -> Family:
    if name not in FAMILIES:
        raise RecipeError(
            f"unknown family {name!r}",
            where="--family",
            expected="one of " + ", ".join(FAMILIES),
            fix=f"--family {candidates[0].name}",
        )
    if FAMILIES[name] not in candidates:
        raise RecipeError(
            f"{name!r} contradicts model_type {config['model_type']!r}",
            where="--family",
            expected="one of " + ", ".join(family.name for family in candidates),
            fix="leave --family out",
        )
    return FAMILIES[name]


def _require_plain_weights(config: Config) -> None:
    for key in ("quantization_config", "quantization_bit"):
        if config.get(key):
            raise refuse(
                f"{key} is {str(config[key])[:80]}: the weights are quantised",
                where="config.json",
                expected="a checkpoint in float32, bfloat16 or float16",
                fix="convert the unquantised release of the same model",
            )


def _tell_baichuan(config: Config) -> Family | None:
    """Architecture names do not tell: BaichuanForCausalLM is 2-7B and both 13B."""
    if config.get("vocab_size") == _BAICHUAN2_VOCABULARY or "z_loss_weight" in config:
        return BAICHUAN2
    return BAICHUAN1 if config.get("architectures") == ["BaiChuanForCausalLM"] else None


def _tell_chatglm(config: Config, tokenizer_config: Config) -> Family | None:
    names = f"{config.get('_name_or_path')} {tokenizer_config.get('name_or_path')}".lower()
    found = [family for family in (CHATGLM2, CHATGLM3) if family.name in names]
    return found[0] if len(found) == 1 else None
