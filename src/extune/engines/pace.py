"""When the next request may begin, for all threads together. In: a clock. Out: waiting.

It knows nothing about requests. Back-off is exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015): a wait is drawn evenly between 0 and a bound that doubles, so that clients do not come back together.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Protocol

FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Bounds of the wait after the first failure and after many, in seconds."""


class Clock(Protocol):
    """What tells the time and waits."""

    def monotonic(self) -> float:
        """Seconds since any fixed moment."""

    def time(self) -> float:
        """Seconds since 1970, to which a server's dates are compared."""

    def sleep(self, seconds: float) -> None:
        """Wait, unless `wake` was called."""

    def wake(self) -> None:
        """End all waits, those that come too: the work is over."""


class SystemClock:
    """The real time."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def monotonic(self) -> float:
        """Seconds since any fixed moment."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, unless `wake` was called."""
        self._over.wait(seconds)

    def wake(self) -> None:
        """End all waits."""
        self._over.set()


class Pace:
    """Spaces requests evenly.

    Args:
        requests_per_minute: None: as fast as they come.
        clock: tells the time and waits.
    """

    def __init__(self, requests_per_minute: float | None, clock: Clock) -> None:
        self._clock = clock
        self._interval = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._next = clock.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when this request may begin."""
        with self._lock:
            now = self._clock.monotonic()
            begin = max(self._next, now)
            self._next = begin + self._interval
        if begin > now:
            self._clock.sleep(begin - now)

    def hold(self, seconds: float) -> None:
        """Let no request begin for so long: the server asked for it."""
        with self._lock:
            self._next = max(self._next, self._clock.monotonic() + seconds)


def draw_back_off(failures: int) -> float:
    """Seconds to wait after so many failures in a row, the first being 1."""
    return random.uniform(0.0, min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** (failures - 1)))
