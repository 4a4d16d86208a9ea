"""Which characters of a text each of its tokens wrote. In: ids, their text, a tokenizer. Out: half-open intervals.

A token of a byte-level or byte-fallback tokenizer may hold a part of a character, or the end of one and the beginning of the
next. It touches every character of which it holds a byte, so neighbouring intervals may share one character.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from extune.tokens.plain_text import decode_completion


def place_tokens(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> tuple[tuple[int, int], ...]:
    """For each token the characters of `text` that it touches.

    The beginning of the ids up to a token is decoded again and compared with the text: what agrees is complete, and anything
    behind it says that bytes of one more character are there already.

    Args:
        tokenizer: that produced the text.
        ids: without the stop id.
        text: what `decode_completion` makes of all of them.
    """
    places, complete = [], 0
    for count in range(1, len(ids) + 1):
        decoded = decode_completion(tokenizer, ids[:count])
        begun = complete
        complete += sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(decoded[begun:], text[begun:], strict=False)))
        places.append((begun, min(complete + (len(decoded) > complete), len(text))))
    return tuple(places)
