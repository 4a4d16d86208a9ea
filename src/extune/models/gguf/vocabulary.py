"""A tokenizer in ggml's words. In: a tokenizer of transformers. Out: a `Vocabulary` that gives the same ids, or a refusal.

ggml has two vocabularies that fit: `gpt2` (BPE over bytes, cut by one of a few known patterns) and `llama` (sentencepiece:
pieces by score, blanks written as `▁`, bytes for the rest). Every decision comes from the tokenizer's own definition, not from
its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from extune.models.gguf.refusal import refuse

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""ggml's types of tokens."""

_WHERE = "tokenizer"
_SPACE = "▁"
_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CUTS: Mapping[tuple[Any, ...], tuple[str, bool]] = {
    (("Split", _WORDS % "", "Isolated", False), ("ByteLevel", False, False)): ("qwen2", False),
    (("Split", _WORDS % "{1,3}", "Isolated", False), ("ByteLevel", False, False)): ("llama-bpe", True),
    (("ByteLevel", False, True),): ("gpt-2", False),
    (("Digits", True), ("ByteLevel", False, True)): ("smollm", False),
}
"""How text is cut before bytes are merged: llama.cpp's name, and whether it takes a whole piece that is a token unmerged."""


@dataclass(frozen=True)
class Vocabulary:
    """What ggml wants to know of a tokenizer.

    Attributes:
        kind: `gpt2` or `llama`.
        cut: how text is cut before bytes are merged, `default` where it is not.
        tokens, types: one for each row of the embedding.
        scores: of `llama`; empty for `gpt2`.
        merges: of `gpt2`; empty for `llama`.
        prefix: a blank is put before each text between special tokens.
        limits: what the file does not do as the tokenizer does, one sentence each.
    """

    kind: str
    cut: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    scores: tuple[float, ...]
    merges: tuple[str, ...]
    prefix: bool
    limits: tuple[str, ...]


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, rows: int, prompt: str, mark: str) -> Vocabulary:
    """The vocabulary of a tokenizer.

    Args:
        tokenizer: a fast one.
        rows: of the model's embedding; those beyond the tokenizer get names of their own.
        prompt: as the run renders it; what stands behind its special tokens matters to some tokenizers.
        mark: that stands in it for a text.

    Raises:
        ModelError: no vocabulary of ggml would give the same ids.
    """
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    model, added = definition["model"], {one["content"]: one for one in definition["added_tokens"]}
    _require_bpe(model)
    _require_plain_added(added)
    names: dict[str, int] = model["vocab"] | {content: one["id"] for content, one in added.items()}
    if max(names.values()) >= rows:
        raise refuse(f"{max(names.values()) + 1} tokens for {rows} rows of the embedding", where=_WHERE, expected="a row each")
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    if model.get("byte_fallback"):
        return _read_pieces(definition, names, merges, rows, _read_blanks(definition, prompt, mark))
    return _read_bytes(definition, names, merges, rows)


def _read_bytes(
    definition: Mapping[str, Any], names: Mapping[str, int], merges: Sequence[tuple[str, ...]], rows: int
) -> Vocabulary:
    steps = tuple(map(_describe_step, _flatten(definition["pre_tokenizer"], "pretokenizers")))
    cut, whole = _CUTS.get(steps, ("", False))
    normalizers = [one["type"] for one in _flatten(definition["normalizer"], "normalizers")]
    problems = {
        "text is cut in a way that llama.cpp has no exact name for": not cut,
        "pieces that are tokens are " + ("merged" if whole else "not merged"): whole
        != bool(definition["model"]["ignore_merges"]),
        "text is changed before it is cut (" + ", ".join(normalizers) + ")": normalizers not in ([], ["NFC"]),
        "there are no merges": not merges,
    }
    _require_none(
        problems, "a byte-level BPE cut as GPT-2, Llama 3, SmolLM or Qwen 2 cut it, or a sentencepiece BPE with bytes"
    )
    limits = ["a text that is not in Unicode NFC is cut into other tokens: normalise it first"] if normalizers else []
    tokens, types = _list_tokens(names, definition, rows)
    return Vocabulary("gpt2", cut, tokens, types, (), tuple(map(" ".join, merges)), False, tuple(limits))


def _read_pieces(
    definition: Mapping[str, Any],
    names: Mapping[str, int],
    merges: Sequence[tuple[str, ...]],
    rows: int,
    blanks: tuple[bool, bool],
) -> Vocabulary:
    added, (escaped, prefix) = {one["content"] for one in definition["added_tokens"]}, blanks
    defined = [one for one in definition["added_tokens"] if not one["special"]]
    problems = {
        "not every byte is a token": not names.keys() >= _BYTES,
        "a token holds ▁ where blanks are not written so": not escaped and any(_SPACE in name for name in names),
        "added tokens are looked for after blanks are written": any(
            one["normalized"] and (prefix or " " in one["content"]) for one in defined
        ),
        "whole pieces are taken unmerged": bool(definition["model"]["ignore_merges"]),
    }
    _require_none(problems, "a sentencepiece BPE with byte fallback, or one token for each character")
    ranks = _rank_pieces(names, merges, added)
    tokens, types = _list_tokens(names, definition, rows)
    scores = tuple(-float(ranks.get(token, 0)) for token in tokens)
    limits = []
    if not escaped:
        tokens = tuple(
            token.replace(" ", _SPACE) if kind == NORMAL else token for token, kind in zip(tokens, types, strict=True)
        )
        limits = ["the character ▁ (U+2581) in a text is read as a blank"]
    return Vocabulary("llama", "default", tokens, types, scores, (), prefix, tuple(limits))


def _rank_pieces(names: Mapping[str, int], merges: Sequence[tuple[str, ...]], added: set[str]) -> dict[str, int]:
    """In which order pieces are made: ggml makes the piece with the highest score out of any two that read like it.

    Raises:
        ModelError: the order of the merges is not one of pieces, or some ways to make a piece are missing.
    """
    ways: dict[str, set[tuple[str, ...]]] = {}
    last = ""
    for pair in merges:
        piece = "".join(pair)
        if piece != last and piece in ways:
            raise refuse(f"merges to {piece!r} stand apart", where=_WHERE, expected="merges in the order of pieces")
        ways.setdefault(piece, set()).add(pair)
        last = piece
    pieces = names.keys() - added - _BYTES
    for piece in pieces:
        cuts = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        # ggml begins with characters, also with those that are no pieces
        if ways.get(piece, set()) != {pair for pair in cuts if all(part in pieces or len(part) == 1 for part in pair)}:
            raise refuse(
                f"{piece!r} is not merged from every two pieces that read like it",
                where=_WHERE,
                expected="all merges that the pieces allow, as of sentencepiece",
            )
    return {piece: rank for rank, piece in enumerate(ways, 1)}


def _read_blanks(definition: Mapping[str, Any], prompt: str, mark: str) -> tuple[bool, bool]:
    """Whether blanks are written as `▁`, and whether one is put before each text between special tokens."""
    changes = tuple(_describe_step(one) for one in _flatten(definition["normalizer"], "normalizers"))
    cuts = tuple(_describe_step(one) for one in _flatten(definition["pre_tokenizer"], "pretokenizers"))
    replace, prepend = ("Replace", " ", _SPACE), ("Prepend", _SPACE)
    schemes = {
        ((), ()): (False, False),
        ((replace,), ()): (True, False),
        ((prepend, replace), ()): (True, True),
        ((), (("Metaspace", _SPACE, "never", False),)): (True, False),
    }
    specials = "|".join(re.escape(one["content"]) for one in definition["added_tokens"])
    if specials and re.match(specials, prompt):  # only the beginning of a string gets a blank, and there stands a special token
        schemes[(), (("Metaspace", _SPACE, "first", False),)] = (True, False)
    if not specials or not re.search(f"({specials})( |{_SPACE}|{re.escape(mark)})", prompt):  # ggml would double a blank there
        schemes[(), (("Metaspace", _SPACE, "always", False),)] = (True, True)
    found = schemes.get((changes, cuts))
    if found is None:
        steps = ", ".join(" ".join(map(str, step)) for step in [*changes, *cuts])
        raise refuse(
            f"text is changed or cut in a way that llama.cpp has no equal for ({steps})",
            where=_WHERE,
            expected="blanks written as ▁ without cutting there, or left as they are",
        )
    return found


def _list_tokens(names: Mapping[str, int], definition: Mapping[str, Any], rows: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Text and type of each row of the embedding."""
    special = {one["content"]: one["special"] for one in definition["added_tokens"]}
    unknown, falls_back = definition["model"].get("unk_token"), bool(definition["model"].get("byte_fallback"))
    by_row = {number: name for name, number in names.items()}
    tokens, types = [], []
    for row in range(rows):
        name = by_row.get(row)
        tokens.append(f"[PAD{row}]" if name is None else name)
        if name is None:
            types.append(UNUSED)
        elif name == unknown:
            types.append(UNKNOWN)
        elif name in special:
            types.append(CONTROL if special[name] else USER_DEFINED)
        else:
            types.append(BYTE if falls_back and name in _BYTES else NORMAL)
    if len(set(tokens)) < rows:
        raise refuse("tokens that read alike", where=_WHERE, expected="a text of its own for each")
    return tuple(tokens), tuple(types)


def _flatten(step: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    if step is None:
        return []
    return [inner for one in step[key] for inner in _flatten(one, key)] if step["type"] == "Sequence" else [step]


def _describe_step(step: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides about ids in a step of a tokenizer; its name alone for steps that none of ggml's vocabularies has."""
    kind = step["type"]
    fields = {
        "ByteLevel": ("add_prefix_space", "use_regex"),
        "Digits": ("individual_digits",),
        "Metaspace": ("replacement", "prepend_scheme", "split"),
        "Prepend": ("prepend",),
    }.get(kind)
    if fields is not None:
        return (kind, *(step[field] for field in fields))
    if kind == "Split":
        return (kind, step["pattern"].get("Regex"), step["behavior"], step["invert"])
    return (kind, step["pattern"].get("String"), step["content"]) if kind == "Replace" else (kind,)


def _require_bpe(model: Mapping[str, Any]) -> None:
    problems = {
        f"the tokenizer's model is {model['type']}": model["type"] != "BPE",
        "merges are left out at random": bool(model.get("dropout")),
        "parts of words are marked": bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")),
    }
    _require_none(problems, "a BPE over bytes, or a sentencepiece BPE with byte fallback")


def _require_plain_added(added: Mapping[str, Mapping[str, Any]]) -> None:
    stripping = [name for name, one in added.items() if one["lstrip"] or one["rstrip"] or one["single_word"]]
    problem = f"added tokens that take the blanks around them or stand alone only ({', '.join(stripping[:3])})"
    _require_none({problem: bool(stripping)}, "added tokens that are found as they are written")


def _require_none(problems: Mapping[str, bool], expected: str) -> None:
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        raise refuse("; ".join(found), where=_WHERE, expected=expected)
