"""A sentencepiece model file, read without sentencepiece.

In: a `tokenizer.model`. Out: its pieces and the settings that decide how it cuts text. The file is a protocol buffer; the
numbers are the fields of sentencepiece_model.proto, whose defaults are filled in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from extune.models.legacy.family import refuse


class PieceType(IntEnum):
    """What a piece is for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its id is its place."""

    text: str
    score: float
    type: PieceType


@dataclass(frozen=True)
class SentencePieceModel:
    """Pieces and settings.

    Attributes:
        model_type: 1 unigram, 2 BPE, 3 word, 4 character.
        has_character_map: characters are replaced before the text is cut (NFKC and the like).
    """

    pieces: tuple[Piece, ...]
    model_type: int
    byte_fallback: bool
    whitespace_as_suffix: bool
    has_character_map: bool
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """The model in a file.

    Raises:
        ModelError: the file is missing or is no sentencepiece model.
    """
    if not path.is_file():
        raise refuse(
            f"{path.name} is missing",
            where=str(path.parent),
            expected="the sentencepiece file that was released with the weights",
            fix="copy it from the origin of the checkpoint",
        )
    try:
        model = _parse_model(path.read_bytes())
    except (ValueError, IndexError, struct.error) as error:
        raise refuse(
            f"is no sentencepiece model: {error}",
            where=str(path),
            expected="the tokenizer.model that was released with the weights",
            fix="copy the file again; a text file that mentions git-lfs stands for one that was not downloaded",
        ) from error
    return model


def _parse_model(data: bytes) -> SentencePieceModel:
    fields = list(_fields(data))
    trainer = dict(_fields(_last_bytes(fields, 2)))
    normalizer = dict(_fields(_last_bytes(fields, 3)))
    pieces = tuple(_parse_piece(value) for number, value in fields if number == 1 and isinstance(value, bytes))
    if not pieces:
        raise ValueError("it has no pieces")
    return SentencePieceModel(
        pieces,
        model_type=_integer(trainer.get(3, 1)),
        byte_fallback=bool(trainer.get(35, 0)),
        whitespace_as_suffix=bool(trainer.get(24, 0)),
        has_character_map=bool(normalizer.get(2, b"")),
        add_dummy_prefix=bool(normalizer.get(3, 1)),
        remove_extra_whitespaces=bool(normalizer.get(4, 1)),
        escape_whitespaces=bool(normalizer.get(5, 1)),
    )


def _parse_piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    text, score = fields.get(1, b""), fields.get(2, bytes(4))
    if not isinstance(text, bytes) or not isinstance(score, bytes):
        raise ValueError("a piece without text")
    return Piece(text.decode("utf-8"), struct.unpack("<f", score)[0], PieceType(_integer(fields.get(3, 1))))


def _last_bytes(fields: list[tuple[int, int | bytes]], number: int) -> bytes:
    return next((value for found, value in reversed(fields) if found == number and isinstance(value, bytes)), b"")


def _integer(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a number of unexpected kind")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: integers for variable-length ones, else the raw bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(data):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
