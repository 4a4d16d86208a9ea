"""How much two free texts have in common, by characters: neither depends on a word segmentation.

In: a reference and a text. Out: shares from 0 to 1. White space is left out of both. It knows nothing about tasks.
"""

from __future__ import annotations

from collections import Counter


def rouge_l(reference: str, text: str) -> float:
    """F-measure (beta 1) of the longest common subsequence of characters (Lin 2004, ROUGE-L). Two empty texts are equal: 1."""
    left, right = _squeeze(reference), _squeeze(text)
    if not left or not right:
        return float(left == right)
    return 2 * longest_common_subsequence(left, right) / (len(left) + len(right))


def char_f1(reference: str, text: str) -> float:
    """F1 of the multisets of characters, whatever their order. Two empty texts are equal: 1."""
    left, right = _squeeze(reference), _squeeze(text)
    if not left or not right:
        return float(left == right)
    return 2 * (Counter(left) & Counter(right)).total() / (len(left) + len(right))


def longest_common_subsequence(left: str, right: str) -> int:
    """Length of the longest common subsequence, a bit per character of `right` (Hyyrö 2004, "Bit-parallel LCS-length").

    A row of the usual table is one integer, so that a cell costs a 64th of an operation.
    """
    places: dict[str, int] = {}
    for number, character in enumerate(right):
        places[character] = places.get(character, 0) | 1 << number
    full = (1 << len(right)) - 1
    row = full
    for character in left:
        matches = row & places.get(character, 0)
        row = (row + matches) | (row - matches)
    return len(right) - (row & full).bit_count()


def _squeeze(text: str) -> str:
    return "".join(text.split())
