"""Text that is no chat, to ids and back: answers and contents. In: text or ids, and a tokenizer. It knows no templates."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from extune.errors import ModelError

# Stands before an answer while it is encoded by a tokenizer that begins every text with a blank.
_OPENING = "\n"


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of plain text: nothing is added and special-token strings are encoded like any other characters."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return ids


def decode_completion(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text of produced ids (without the stop id); special tokens that a model wrote by mistake stay visible."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


class AnswerEncoder:
    """Encodes answers to learn: their characters and no others, so that the grammar allows exactly what is learned.

    Many sentencepiece tokenizers begin every text with a blank. An answer goes on from its prompt; it gets none.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        ids = encode_text(tokenizer, _OPENING)
        begins_with_blank = decode_completion(tokenizer, ids + ids) != 2 * _OPENING
        self._opening = ids if begins_with_blank else []

    def encode(self, target: str) -> list[int]:
        """Ids of an answer, without stop id.

        Raises:
            ModelError: the tokenizer's blank cannot be told from the answer.
        """
        if not self._opening:
            return encode_text(self._tokenizer, target)
        ids = encode_text(self._tokenizer, _OPENING + target)
        if ids[: len(self._opening)] != self._opening:
            raise ModelError(
                "the tokenizer begins every text with a blank and fuses it with what follows",
                where="tokenizer",
                expected=f"a tokenizer that keeps {_OPENING!r} apart from the characters after it",
                fix="use another base",
            )
        return ids[len(self._opening) :]
