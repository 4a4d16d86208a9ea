"""Documents to one stream of token ids, and rows to sequences of equal length with loss weights. Nothing is padded or cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class TrainingRow:
    """One question with its answer.

    Attributes:
        prompt_ids: ends with the generation prompt.
        answer_ids: answer and turn end.
        text_span: where the text stands in `prompt_ids`, half-open.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    text_span: tuple[int, int]

    def __len__(self) -> int:
        """Tokens of the packed row: the end-of-text token that separates rows is one more."""
        return len(self.prompt_ids) + len(self.answer_ids) + 1


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


def pack_rows(
    rows: Iterable[TrainingRow],
    sequence_tokens: int,
    plain_ids: np.ndarray,
    end_id: int,
    text_weight: float = 0.25,
    plain_share: float = 0.2,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows packed whole into sequences of exactly `sequence_tokens`; too long rows are left out.

    Args:
        rows: in training order; each goes into the open sequence that it fills best.
        sequence_tokens: length of a sequence.
        end_id: the end-of-text token, put between rows so that they need not see each other.
        plain_ids: a stream of plain text; fills what is left of a sequence, and `plain_share` more sequences.
        text_weight: loss weight of plain text and of the text inside prompts; answers weigh 1, wording 0.
        plain_share: share of all sequences that are plain text.

    Returns:
        Ids (uint16) and weights (float16), both of shape (N,), N a multiple of `sequence_tokens`.
    """
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    plain = _PlainStream(plain_ids)
    for members in fill_sequences(rows, sequence_tokens):
        parts = [
            (np.array((*row.prompt_ids, *row.answer_ids, end_id), dtype=np.uint16), _weigh(row, text_weight)) for row in members
        ]
        rest = sequence_tokens - sum(map(len, members))
        parts.append((plain.take(rest), np.full(rest, text_weight, dtype=np.float16)))
        ids.append(np.concatenate([part for part, _ in parts]))
        weights.append(np.concatenate([part for _, part in parts]))
    for _ in range(round(len(ids) * plain_share / (1 - plain_share))):
        ids.append(plain.take(sequence_tokens))
        weights.append(np.full(sequence_tokens, text_weight, dtype=np.float16))
    return np.concatenate(ids), np.concatenate(weights)


def _weigh(row: TrainingRow, text_weight: float) -> np.ndarray:
    weights = np.zeros(len(row), dtype=np.float16)
    weights[slice(*row.text_span)] = text_weight
    weights[len(row.prompt_ids) : -1] = 1.0
    return weights


def fill_sequences(rows: Iterable[TrainingRow], capacity: int, open_limit: int = 64) -> Iterator[list[TrainingRow]]:
    """Best fit with at most `open_limit` open sequences: the fullest one is closed first."""
    open_sequences: list[tuple[int, list[TrainingRow]]] = []
    for row in rows:
        if len(row) > capacity:
            continue
        fitting = [index for index, (free, _) in enumerate(open_sequences) if free >= len(row)]
        if fitting:
            best = min(fitting, key=lambda index: open_sequences[index][0])
            free, members = open_sequences[best]
            open_sequences[best] = (free - len(row), [*members, row])
            continue
        if len(open_sequences) == open_limit:
            fullest = min(range(open_limit), key=lambda index: open_sequences[index][0])
            yield open_sequences.pop(fullest)[1]
        open_sequences.append((capacity - len(row), [row]))
    yield from (members for _, members in open_sequences)


class _PlainStream:
    """Consecutive pieces of one array, again from the start when it ends."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids, self.place = ids, 0

    def take(self, count: int) -> np.ndarray:
        if self.place + count > len(self.ids):
            self.place = 0
        piece = self.ids[self.place : self.place + count]
        self.place += count
        return np.asarray(piece, dtype=np.uint16)
