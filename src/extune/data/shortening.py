"""A text beyond the budget loses its middle, visibly. In: a text and whether a piece fits. Out: a text that fits, or None.

It knows nothing about tokens, prompts and labels. What matters in an article stands mostly at its beginning and its end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

MARK = "\n[……]\n"
"""Stands where characters were left out."""


def shorten_middle(text: str, fits: Callable[[str], bool]) -> str | None:
    """The longest beginning and end of `text`, of equal length but for one character, with `MARK` between.

    Whole characters are kept: none is parted from its combining marks. None where not even one character fits.

    Args:
        text: that does not fit.
        fits: true for texts within the budget; should be true for every text that is shorter than one that fits.
    """
    low, high = 0, len(text)  # characters kept: with `low` it fits, with `high` it does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(_without_middle(text, middle)):
            low = middle
        else:
            high = middle
    return _without_middle(text, low) if low else None


def _without_middle(text: str, kept: int) -> str:
    end, start = (kept + 1) // 2, len(text) - kept // 2
    while 0 < end < len(text) and unicodedata.combining(text[end]):
        end -= 1
    while start < len(text) and unicodedata.combining(text[start]):
        start += 1
    return text[:end] + MARK + text[start:]
