"""Which predicted spans correspond to which gold spans of one document.

In: two annotations of the same text. Out: counts of one-to-one matches, exact for every mode: no order of the spans and no
greedy choice can change them. It knows nothing about precision, recall and documents.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from extune.domain.annotation import Extraction, Span

_HALF = 0.5


@dataclass(frozen=True)
class Comparison:
    """The spans of one document in text order: in both annotations, only in gold, only predicted."""

    found: tuple[Span, ...]
    missed: tuple[Span, ...]
    spurious: tuple[Span, ...]


def compare_spans(gold: Extraction, predicted: Extraction) -> Comparison:
    """Compare by start, end and type."""
    gold_keys = {span.key for span in gold.spans}
    predicted_keys = {span.key for span in predicted.spans}
    return Comparison(
        tuple(span for span in gold.spans if span.key in predicted_keys),
        tuple(span for span in gold.spans if span.key not in predicted_keys),
        tuple(span for span in predicted.spans if span.key not in gold_keys),
    )


def count_common(gold: Iterable[Hashable], predicted: Iterable[Hashable]) -> int:
    """Size of the intersection of two multisets: a key that stands m and n times counts min(m, n) times."""
    return (Counter(gold) & Counter(predicted)).total()


def sum_partial_credit(comparison: Comparison) -> float:
    """The largest credit that pairing spans one to one can give.

    A pair of the same type and the same place gives 1, a pair of the same type that shares at least one character gives 1/2
    (as in MUC-5 and nervaluate), any other pair nothing.

    Pairing equal spans first is optimal: breaking up an equal pair (1) frees two spans for two overlaps (1/2 each) at most.
    What remains has one weight, so that a maximum matching is what is left to find.
    """
    neighbours = [
        [number for number, span in enumerate(comparison.missed) if span.type == other.type and span.overlaps(other)]
        for other in comparison.spurious
    ]
    return len(comparison.found) + _HALF * count_pairs(neighbours)


def count_pairs(neighbours: Sequence[Sequence[int]]) -> int:
    """Size of a maximum matching; see `find_pairs`."""
    return len(find_pairs(neighbours))


def find_pairs(neighbours: Sequence[Sequence[int]]) -> dict[int, int]:
    """A maximum matching in a bipartite graph, by breadth-first augmenting paths (O(vertices x edges)).

    Args:
        neighbours: for each left vertex the numbers of the right vertices it may be paired with, the preferred ones first.

    Returns:
        The right vertex of each left vertex that was paired.
    """
    holder: dict[int, int] = {}  # right vertex -> its left vertex
    held: dict[int, int] = {}  # left vertex -> its right vertex
    for left in range(len(neighbours)):
        _augment(left, neighbours, holder, held)
    return held


def _augment(start: int, neighbours: Sequence[Sequence[int]], holder: dict[int, int], held: dict[int, int]) -> None:
    """Pair `start` too, re-pairing others where needed; nothing is changed where that is impossible."""
    reached_from: dict[int, int] = {}  # right vertex -> the left vertex that reached it
    queue = deque([start])
    while queue:
        left = queue.popleft()
        for right in neighbours[left]:
            if right in reached_from:
                continue
            reached_from[right] = left
            if right in holder:
                queue.append(holder[right])
                continue
            step: int | None = right
            while step is not None:  # back to `start`, whose held vertex is None
                left = reached_from[step]
                holder[step], held[left], step = left, step, held.get(left)
            return
