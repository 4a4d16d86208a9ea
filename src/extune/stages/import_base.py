"""`extune import-base`: a legacy checkpoint, or an adapter trained on one, becomes native.

In: a folder. Out: a folder that recipes, transformers or PEFT load. It runs no code of the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from extune.errors import RecipeError
from extune.models.base_model import resolve_base
from extune.models.legacy.adapters import convert_adapter
from extune.models.legacy.convert import convert_base
from extune.models.legacy.prefix import convert_prefix, is_prefix_checkpoint
from extune.models.legacy.recognise import FAMILIES


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        what: for example `Qwen-1 as Qwen2ForCausalLM, 195 tensors`.
        limits: where the native model does not do as the original did.
    """

    folder: Path
    what: str
    limits: tuple[str, ...] = ()
    is_adapter: bool = False


def import_base(source: Path, out: Path, *, family: str | None = None, base: str | None = None) -> Imported:
    """Convert the checkpoint or adapter in `source` into the folder `out`.

    Args:
        source: folder as it was released or trained.
        out: does not exist yet.
        family: of a base whose config.json does not tell.
        base: of an adapter: the base on which it was trained, legacy or converted.

    Raises:
        RecipeError: a folder is missing or taken, or `base` and `source` do not go together.
        ModelError: what is in `source` cannot be represented exactly. Nothing is written.
    """
    _require_places(source, out)
    is_lora = (source / "adapter_config.json").is_file()
    is_adapter = is_lora or (base is not None and is_prefix_checkpoint(source))
    if not is_adapter:
        _require_no_base(source, base)
        conversion = convert_base(source, out, family)
        title = FAMILIES[conversion.family].title
        return Imported(out, f"{title} as {conversion.architecture}, {conversion.tensors} tensors", conversion.limits)
    if base is None:
        raise RecipeError(
            "an adapter without its base",
            where=str(source),
            expected="the base on which the adapter was trained: its config decides how fused modules are cut",
            fix="extune import-base DIR OUT --base BASE",
        )
    folder = resolve_base(base)
    if is_lora:
        return Imported(out, f"LoRA adapter, {convert_adapter(source, folder, out)} tensors", is_adapter=True)
    return Imported(out, f"prefix of {convert_prefix(source, folder, out)} tokens", is_adapter=True)


def _require_places(source: Path, out: Path) -> None:
    if not source.is_dir():
        raise RecipeError(
            "is a file" if source.exists() else "does not exist",
            where=str(source),
            expected="the folder of a checkpoint, or of an adapter",
            fix="name the folder that holds config.json or adapter_config.json",
        )
    if out.exists():
        raise RecipeError(
            "exists already", where=str(out), expected="a folder that does not exist yet", fix="name another folder"
        )


def _require_no_base(source: Path, base: str | None) -> None:
    if base is not None:
        raise RecipeError(
            "--base with a folder that holds no adapter",
            where=str(source),
            expected="adapter_config.json, or a config.json with pre_seq_len",
            fix="leave --base out to import a base",
        )
