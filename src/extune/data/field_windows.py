"""Verbatim lists of a record over the windows of a long text: their gold is shared out, their predictions are put together.

In: windows and lists of pieces, which have no offsets. Out: lists again. A piece belongs to every window that contains it, and
counts in the whole text as often as in the window that has it most often: lists name a thing once, wherever it is repeated.
It knows nothing about tokens, prompts and models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from extune.data.windows import Window
from extune.domain.annotation import Fields
from extune.domain.example import Example
from extune.domain.prediction import Problem
from extune.errors import DataError


def assign_fields(example: Example, windows: Sequence[Window]) -> tuple[Fields, ...]:
    """The gold of each window: the pieces that it contains, each at most as often as it contains them.

    Raises:
        DataError: no window contains a piece.
        TypeError: the example's gold is no record.
    """
    if not isinstance(example.gold, Fields):
        raise TypeError(f"the gold of {example.id} is no record")
    texts = [example.text[window.start : window.end] for window in windows]
    for name, pieces in example.gold.values.items():
        for piece in pieces:
            if not any(piece in text for text in texts):
                raise DataError(
                    f"a piece of {len(piece)} characters of field {name!r} lies in no window whole",
                    where=str(example.source or example.id),
                    expected="pieces of the text that fit into the overlap of two windows",
                    fix="raise data.window_overlap or prompt.max_input_tokens, or correct the field",
                )
    return tuple(
        Fields({name: _contained(tuple(pieces), text) for name, pieces in example.gold.values.items()}) for text in texts
    )


def merge_fields(results: Sequence[tuple[Fields, Sequence[Problem]]]) -> tuple[Fields, tuple[Problem, ...]]:
    """One record of the whole text from those of its windows; problems are kept as often as they occur.

    Of a piece that several windows name, the highest confidence counts.
    """
    merged: dict[str, dict[tuple[str, int], float | None]] = {name: {} for fields, _ in results for name in fields.values}
    for fields, _ in results:
        times: Counter[tuple[str, str]] = Counter()
        for name, piece, confidence in fields.items():
            key = piece, times[name, piece]
            times[name, piece] += 1
            known = merged[name].get(key)
            merged[name][key] = confidence if known is None else max(known, confidence or 0.0)
    values = {name: tuple(piece for piece, _ in pieces) for name, pieces in merged.items()}
    confidences = {name: tuple(pieces.values()) for name, pieces in merged.items()}
    return Fields(values, confidences), tuple(problem for _, problems in results for problem in problems)


def _contained(pieces: tuple[str, ...], text: str) -> tuple[str, ...]:
    kept: list[str] = []
    for piece in pieces:
        if kept.count(piece) < text.count(piece):
            kept.append(piece)
    return tuple(kept)
