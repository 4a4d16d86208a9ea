"""Whether something that is being written runs in a circle. In: tokens, or characters. Out: yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LEAST_TIMES = 4


def runs_in_a_circle(written: Sequence[Any], shortest: int) -> bool:
    """Whether the end is one piece again and again, at least four times over and at least `shortest` items long."""
    backwards = written[::-1]
    agreement = [0] * (len(backwards) // _LEAST_TIMES + 1)  # the Z algorithm (Gusfield 1997, 1.3)
    left = right = 0
    for piece in range(1, len(agreement)):
        same = min(agreement[piece - left], right - piece) if piece < right else 0
        while piece + same < len(backwards) and backwards[same] == backwards[piece + same]:
            same += 1
        agreement[piece] = same
        if piece + same > right:
            left, right = piece, piece + same
        if piece + same >= max(shortest, _LEAST_TIMES * piece):
            return True
    return False
