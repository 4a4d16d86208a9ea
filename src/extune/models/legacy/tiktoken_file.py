"""Qwen-1's `qwen.tiktoken` as a byte-level BPE tokenizer.

In: lines of base64 bytes and rank. Out: a tokenizer with the same ids. It knows nothing about models.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from extune.models.legacy.family import refuse

_FILE = "qwen.tiktoken"
# They follow the ranks. Their embedding rows exist in every release, whatever the extras were called.
_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))


def read_qwen_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer whose ranks are in `folder`.

    Raises:
        ModelError: the file is missing or damaged.
    """
    ranks = _read_ranks(folder / _FILE)
    letters = _byte_letters()
    vocabulary = {_spell(token, letters): rank for token, rank in ranks.items()}
    merges = [(_spell(left, letters), _spell(right, letters)) for left, right in _derive_merges(ranks, folder / _FILE)]
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _read_ranks(path: Path) -> dict[bytes, int]:
    if not path.is_file():
        raise refuse(
            f"{_FILE} is missing",
            where=str(path.parent),
            expected="the tokenizer file that was released with the weights",
            fix="copy it from the origin of the checkpoint",
        )
    ranks: dict[bytes, int] = {}
    try:
        for line in path.read_bytes().split(b"\n"):
            if line:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
    except (ValueError, binascii.Error):
        ranks = {}
    if sorted(ranks.values()) != list(range(len(ranks))) or not all(bytes([byte]) in ranks for byte in range(256)):
        raise refuse(
            f"{len(ranks)} tokens are readable, their ranks are not 0, 1, 2 ... with all single bytes among them",
            where=str(path),
            expected="one line per token: base64 of its bytes, a blank, its rank",
            fix="copy the file again from the origin of the checkpoint",
        )
    return ranks


def _derive_merges(ranks: Mapping[bytes, int], path: Path) -> list[tuple[bytes, bytes]]:
    """The pair of which each token is made, by rank: what BPE leaves of its bytes with smaller ranks only."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) == 1:
            continue
        parts = _merge_bytes(token, ranks, rank)
        if len(parts) != 2:
            raise refuse(
                f"the token of rank {rank} is not made of two earlier ones",
                where=str(path),
                expected="ranks of a byte-level BPE",
                fix="copy the file again from the origin of the checkpoint",
            )
        merges.append((parts[0], parts[1]))
    return merges


def _merge_bytes(token: bytes, ranks: Mapping[bytes, int], limit: int) -> list[bytes]:
    """The parts of a token after all merges with a rank below `limit`, the smallest first, leftmost first."""
    parts = [bytes([byte]) for byte in token]
    while True:
        found = [(ranks.get(left + right, limit), place) for place, (left, right) in enumerate(pairwise(parts))]
        rank, place = min(found, default=(limit, 0))
        if rank >= limit:
            return parts
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def _byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in a byte-level BPE; as in GPT-2, others follow code point 256."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def _spell(token: bytes, letters: Mapping[int, str]) -> str:
    return "".join(letters[byte] for byte in token)
