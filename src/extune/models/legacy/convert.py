"""A legacy checkpoint becomes a native one. In: a folder. Out: a folder that transformers loads without foreign code.

Everything is checked before the first byte is written; the weights of one file are in memory at a time; the output folder is
complete or absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from extune.files import atomic_folder, hash_files, write_json
from extune.models.legacy.family import Conversation, Family, NativeConfig, Part, read_settings, refuse
from extune.models.legacy.note import Conversion, write_note
from extune.models.legacy.plan import Plan, make_plan, target_name
from extune.models.legacy.recognise import recognise
from extune.models.legacy.weights import find_weight_files, list_tensors, read_weights

_HEAD_ROWS = 1024
_SMALLEST = 1e-12  # length of a row; as in the original


def convert_base(source: Path, out: Path, family_name: str | None = None) -> Conversion:
    """Write the native checkpoint of `source` as the folder `out`, which is replaced where it exists.

    Args:
        source: folder as it was released: config.json, weights, tokenizer files.
        out: folder to write.
        family_name: one of `FAMILIES`, where config.json does not tell.

    Raises:
        ModelError: the checkpoint cannot be represented exactly, or a file is missing or damaged. Nothing is written.
    """
    family, config = recognise(source, family_name)
    native = family.map_config(config)
    tokenizer = family.read_tokenizer(source)
    conversation = family.converse(tokenizer, read_settings(source / "generation_config.json"))
    _require_room(tokenizer, native)
    _require_no_more_tokens(source, tokenizer)
    plan = make_plan(list_tensors(find_weight_files(source)), family, native)
    native |= {**conversation.native_ids, "dtype": plan.dtype}
    conversion = Conversion(
        source=source.name,
        family=family.name,
        architecture=native["architectures"][0],
        source_hash=hash_files([source / "config.json", *plan.files]),
        tensors=len(plan.shapes),
        ignored_tensors=plan.ignored,
        limits=family.describe_limits(native),
    )
    with atomic_folder(out) as folder:
        _write_weights(plan, family, folder)
        _write_settings(folder, native, conversation)
        _write_tokenizer(folder, tokenizer, conversation)
        write_note(folder, conversion)
    return conversion


def convert_tensor(tensor: torch.Tensor, name: str, parts: Sequence[Part], family: Family) -> dict[str, torch.Tensor]:
    """The native tensors of a legacy one: its rows, divided by their length where they are a unit head."""
    if family.unit_head and parts[0].module == "lm_head":
        tensor = _divide_rows(tensor)
    pieces = torch.split(tensor, [part.rows or len(tensor) for part in parts])
    return {target_name(name, part): rows.contiguous() for part, rows in zip(parts, pieces, strict=True)}


def _divide_rows(head: torch.Tensor) -> torch.Tensor:
    """Each row divided by its length, computed in float32; a few rows at a time, because a head is large."""
    divided = torch.empty_like(head)
    for rows, result in zip(torch.split(head, _HEAD_ROWS), torch.split(divided, _HEAD_ROWS), strict=True):
        result.copy_(torch.nn.functional.normalize(rows.float(), dim=1, eps=_SMALLEST))
    return divided


def _write_weights(plan: Plan, family: Family, folder: Path) -> None:
    """One native file per legacy file, so that the weights of one are in memory at a time."""
    places: dict[str, str] = {}
    for number, file in enumerate(plan.files, 1):
        name = "model.safetensors" if len(plan.files) == 1 else f"model-{number:05d}-of-{len(plan.files):05d}.safetensors"
        tensors: dict[str, torch.Tensor] = {}
        for legacy, tensor in read_weights(file):
            if legacy in plan.parts:
                tensors |= convert_tensor(tensor, legacy, plan.parts[legacy], family)
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
    if len(plan.files) > 1:
        index = {"metadata": {"total_size": plan.bytes}, "weight_map": dict(sorted(places.items()))}
        write_json(folder / "model.safetensors.index.json", index)


def _write_settings(folder: Path, native: NativeConfig, conversation: Conversation) -> None:
    """Without the version of transformers: the same checkpoint gives the same hash whatever wrote it."""
    write_json(folder / "config.json", native)
    ids: dict[str, Any] = {
        key: native[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if native[key] is not None
    }
    write_json(folder / "generation_config.json", ids | dict(conversation.generation))


def _write_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerFast, conversation: Conversation) -> None:
    if conversation.chat_template is not None:
        tokenizer.chat_template = conversation.chat_template
    stop = conversation.native_ids.get("eos_token_id")
    if stop is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(stop)
    tokenizer.save_pretrained(folder)


def _require_room(tokenizer: PreTrainedTokenizerFast, native: NativeConfig) -> None:
    if len(tokenizer) > native["vocab_size"]:
        raise refuse(
            f"the tokenizer has {len(tokenizer)} tokens, the model {native['vocab_size']}",
            where="tokenizer",
            expected="the tokenizer of this checkpoint",
            fix="copy config.json and tokenizer files of the same checkpoint",
        )


def _require_no_more_tokens(source: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse tokens that somebody added to the released tokenizer: nothing says how they were matched."""
    added = read_settings(source / "added_tokens.json")
    unknown = [token for token, number in added.items() if tokenizer.convert_tokens_to_ids(token) != number]
    if unknown:
        raise refuse(
            f"{len(unknown)} added tokens that the released tokenizer does not have, for example {unknown[0]!r}",
            where=str(source / "added_tokens.json"),
            expected="the released tokenizer",
            fix="use the released checkpoint, or remove the file if the tokens were never trained",
        )
