"""A sentencepiece BPE as a tokenizer of the tokenizers library, with the same ids.

In: pieces and settings. Out: a tokenizer. Every decision comes from the file's own settings, not from the model's name;
settings under which equality was not shown are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from extune.models.legacy.family import refuse
from extune.models.legacy.sentencepiece_file import Piece, PieceType, SentencePieceModel, read_sentencepiece

_FILE = "tokenizer.model"
_SPACE = "▁"
_BPE = 2


@dataclass(frozen=True)
class SentencePieceStyle:
    """What the original tokenizer class did around sentencepiece.

    Attributes:
        single: special tokens around a text, which is written `$A`; empty adds none.
        pair: special tokens around two texts, `$A` and `$B`.
        extra: special tokens whose ids follow the pieces.
        names: special tokens by role, for example `eos_token`.
    """

    single: Sequence[str] = ()
    pair: Sequence[str] = ()
    extra: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    padding_side: Literal["left", "right"] = "right"


def read_sentencepiece_tokenizer(folder: Path, style: SentencePieceStyle) -> PreTrainedTokenizerFast:
    """The tokenizer whose pieces are in `folder`.

    Raises:
        ModelError: the file is missing, damaged, or has settings that cannot be represented exactly.
    """
    path = folder / _FILE
    model = read_sentencepiece(path)
    _require_exact(model, path)
    vocabulary = {piece.text: number for number, piece in enumerate(model.pieces)}
    tokenizer = Tokenizer(
        BPE(
            vocab=vocabulary,
            merges=_derive_merges(model.pieces),
            unk_token=next((piece.text for piece in model.pieces if piece.type == PieceType.UNKNOWN), None),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = [normalizers.Prepend(_SPACE)] if model.add_dummy_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", _SPACE)])
    strip = [decoders.Strip(" ", left=1)] if model.add_dummy_prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    _add_tokens(tokenizer, model, style.extra)
    _add_template(tokenizer, style)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        padding_side=style.padding_side,
        model_input_names=["input_ids", "attention_mask"],
        **style.names,
    )


def _require_exact(model: SentencePieceModel, path: Path) -> None:
    types = {piece.type for piece in model.pieces}
    problems = {
        f"model type {model.model_type} instead of {_BPE} (BPE)": model.model_type != _BPE,
        "no byte fallback": not model.byte_fallback,
        "characters are replaced before cutting (precompiled_charsmap)": model.has_character_map,
        "blanks are removed (remove_extra_whitespaces)": model.remove_extra_whitespaces,
        "blanks are not escaped (escape_whitespaces)": not model.escape_whitespaces,
        "blanks belong to the word before (treat_whitespace_as_suffix)": model.whitespace_as_suffix,
        "unused pieces": PieceType.UNUSED in types,
        "a dummy prefix together with user-defined pieces": model.add_dummy_prefix and PieceType.USER_DEFINED in types,
        "pieces that occur twice": len({piece.text for piece in model.pieces}) < len(model.pieces),
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        raise refuse(
            "the tokenizer has " + "; ".join(found),
            where=str(path),
            expected="a sentencepiece BPE with byte fallback that leaves characters and blanks as they are",
            fix="use the tokenizer.model of the released checkpoint, or another base",
        )


def _derive_merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """All ways to make a piece of two others, in the order in which sentencepiece would merge them.

    It merges the pair with the highest score first; of equal scores the longer piece, then the earlier one.
    """
    normal = {piece.text for piece in pieces if piece.type == PieceType.NORMAL}
    ordered = sorted(
        ((-piece.score, -len(piece.text), number, piece.text) for number, piece in enumerate(pieces) if piece.text in normal),
    )
    return [
        (text[:cut], text[cut:])
        for *_, text in ordered
        for cut in range(1, len(text))
        if text[:cut] in normal and text[cut:] in normal
    ]


def _add_tokens(tokenizer: Tokenizer, model: SentencePieceModel, extra: Sequence[str]) -> None:
    specials = [piece.text for piece in model.pieces if piece.type in (PieceType.UNKNOWN, PieceType.CONTROL)]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    # sentencepiece looks for user-defined pieces after it has escaped blanks: one that holds a blank is never found.
    defined = [piece.text for piece in model.pieces if piece.type == PieceType.USER_DEFINED and " " not in piece.text]
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=True) for text in defined])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in extra])


def _add_template(tokenizer: Tokenizer, style: SentencePieceStyle) -> None:
    if not style.single:
        return
    used = dict.fromkeys(token for token in (*style.single, *style.pair) if not token.startswith("$"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=list(style.single),
        pair=list(style.pair),
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in used],
    )
