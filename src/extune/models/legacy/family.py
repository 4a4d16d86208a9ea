"""What a family of legacy checkpoints is: names of its modules, its config, its tokenizer, its limits.

In: config keys and module names of the original code. Out: those of the native class. It reads no weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from extune.errors import ModelError

Config = Mapping[str, Any]
NativeConfig = dict[str, Any]

_LAYER = re.compile(r"\.(\d+)\.")

# Keys that every Hugging Face config may have and that do not change what these models compute.
_HARMLESS_KEYS = frozenset(
    """
    architectures auto_map bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward decoder_start_token_id
    diversity_penalty do_sample dtype early_stopping eos_token_id finetuning_task id2label initializer_range label2id
    length_penalty max_length max_new_tokens min_length model_max_length model_type name_or_path no_repeat_ngram_size
    num_beam_groups num_beams num_return_sequences output_attentions output_hidden_states output_scores pad_token_id prefix
    pretraining_tp problem_type pruned_heads remove_invalid_values repetition_penalty return_dict return_dict_in_generate
    sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings
    tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p use_bfloat16 use_cache
    """.split()  # noqa: SIM905 (a list would be five times as long)
)


@dataclass(frozen=True)
class Part:
    """A native module and how many rows of the legacy module it takes; None: all of them."""

    module: str
    rows: int | None


@dataclass(frozen=True)
class Conversation:
    """How the checkpoint talks.

    Attributes:
        chat_template: Jinja text, or None for a base that has no chat format.
        native_ids: config entries that follow from the tokenizer (`eos_token_id`, `pad_token_id`, ...).
        generation: entries of generation_config.json.
    """

    chat_template: str | None
    native_ids: Mapping[str, Any]
    generation: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """One kind of legacy checkpoint.

    Attributes:
        name: as `--family` takes it.
        title: for messages.
        modules: native names of each legacy module, layer number written `N`; several where the module is fused.
        ignored: patterns of tensors that are no weights; they match the whole name.
        map_config: native config of a legacy one; raises where it cannot be represented.
        read_tokenizer: makes the native tokenizer from the files in a folder.
        converse: chat template and stop ids, from the tokenizer and generation_config.json.
        describe_limits: what the native model does not do as the original did.
        unit_head: logits use the rows of the output layer divided by their length.
    """

    name: str
    title: str
    modules: Mapping[str, Sequence[str]]
    ignored: Sequence[str]
    map_config: Callable[[Config], NativeConfig]
    read_tokenizer: Callable[[Path], PreTrainedTokenizerFast]
    converse: Callable[[PreTrainedTokenizerFast, Config], Conversation]
    describe_limits: Callable[[NativeConfig], tuple[str, ...]]
    unit_head: bool = False

    def is_ignored(self, tensor: str) -> bool:
        """True where the tensor is a buffer that the native class computes itself."""
        return any(re.fullmatch(pattern, tensor) for pattern in self.ignored)

    def split_module(self, module: str, native: NativeConfig) -> tuple[Part, ...]:
        """The native modules of a legacy one, in the order of its rows; empty where it is unknown."""
        layer = _LAYER.search(module)
        names = self.modules.get(_LAYER.sub(".N.", module, count=1), ())
        names = [name.replace(".N.", f".{layer.group(1)}.") if layer else name for name in names]
        if len(names) < 2:
            return tuple(Part(name, None) for name in names)
        return tuple(Part(name, rows) for name, rows in zip(names, fused_rows(native), strict=True))


def fused_rows(native: NativeConfig) -> tuple[int, int, int]:
    """Rows of queries, keys and values in a fused projection."""
    width = native.get("head_dim") or native["hidden_size"] // native["num_attention_heads"]
    keys = native["num_key_value_heads"] * width
    return native["num_attention_heads"] * width, keys, keys


def refuse(what: str, *, where: str, expected: str, fix: str) -> ModelError:
    """The error for a checkpoint that cannot be represented exactly."""
    return ModelError(what, where=where, expected=expected, fix=fix)


def read_settings(path: Path) -> dict[str, Any]:
    """The entries of a JSON file; empty where there is no such file.

    Raises:
        ModelError: it is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        settings, reason = None, str(error)
    else:
        reason = f"it holds a {type(settings).__name__}"
    if not isinstance(settings, dict):
        raise refuse(
            f"is no JSON object: {reason}",
            where=str(path),
            expected="the file that was released with the weights",
            fix="copy the file again from its origin",
        )
    return settings


def read_value(config: Config, *names: str) -> Any:
    """The first of the entries that is there.

    Raises:
        ModelError: none is.
    """
    for name in names:
        if config.get(name) is not None:
            return config[name]
    raise refuse(
        f"{' or '.join(names)} is missing",
        where="config.json",
        expected="the config.json that was released with the weights",
        fix="copy config.json again from its origin",
    )


def require_values(config: Config, required: Mapping[str, Any]) -> None:
    """Raise where an entry differs from the only value that the native class can represent; a missing one is fine."""
    for name, value in required.items():
        if name in config and config[name] != value:
            raise refuse(
                f"{name} is {config[name]!r}",
                where="config.json",
                expected=f"{name} {value!r}, the only value that the native architecture computes",
                fix="use another base: this checkpoint is not one of the released models",
            )


def require_known_keys(config: Config, known: Collection[str]) -> None:
    """Raise for an entry that is set and of which nothing says what it changes."""
    unknown = sorted(
        name
        for name, value in config.items()
        if value and name not in known and name not in _HARMLESS_KEYS and not name.startswith("_")
    )
    if unknown:
        raise refuse(
            f"unknown entries {', '.join(f'{name}={config[name]!r}'[:60] for name in unknown)}",
            where="config.json",
            expected="the entries of the released checkpoints; another one may change what the model computes",
            fix="remove the entry from config.json if the model computes the same without it, or use another base",
        )


def keep_generation_keys(config: Config, names: Sequence[str]) -> dict[str, Any]:
    """The sampling entries of a legacy generation_config.json that transformers knows too."""
    return {name: config[name] for name in names if config.get(name) is not None}
