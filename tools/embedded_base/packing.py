"""Documents to one stream of token ids: each document ends with end-of-text, nothing is padded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from transformers import PreTrainedTokenizerFast


def pack_documents(documents: Iterable[str], tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """Token ids of all documents in order, uint16, shape (N,).

    Encoded one line at a time: without merges the ids of a text are the ids of its pieces, and the tokenizer's cost
    grows faster than linearly with the length of a piece.
    """
    end = tokenizer.pad_token_id
    newline = tokenizer.encode("\n", add_special_tokens=False)
    parts: list[np.ndarray] = []
    for document in documents:
        ids: list[int] = []
        lines = document.split("\n")
        for encoding in tokenizer._tokenizer.encode_batch_fast(lines, add_special_tokens=False):
            ids.extend(encoding.ids)
            ids.extend(newline)
        ids[-len(newline) :] = [end]
        parts.append(np.array(ids, dtype=np.uint16))
    return np.concatenate(parts)
