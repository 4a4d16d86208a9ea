"""A power law through scores of trainings on more and more examples, and what it says of twice as many.

In: scores in [0, 1] by number of training examples, one per seed. Out: a fit and a forecast, or why there is none. The law is
`1 - score = a * n ** -b` (Cortes et al. 1994; Hestness et al. 2017, arXiv:1712.00409), a line through the logarithms, by least
squares over all trainings; the limit that such laws often have as a third number cannot be found from four sizes.

The interval is a bootstrap over seeds: at each size the deviations from the mean are drawn with replacement, made larger by
`sqrt(s / (s - 1))` because s of them around their own mean are too close together. It knows how much seeds differ and nothing
about the sampling of the set that was scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_LEAST_SIZES, _LEAST_SEEDS = 3, 2
_LEAST_ERROR = 1e-9


@dataclass(frozen=True)
class Forecast:
    """What doubling the data would bring.

    Attributes:
        examples: the largest number that was trained on.
        a, b: of the law; None where it cannot be fitted.
        score: of the law at `examples`; `doubled` at twice as many.
        low, high: 95 % interval of the gain, `doubled - score`.
        obstacle: why the forecast cannot be used; empty where it can.
    """

    examples: int
    a: float | None = None
    b: float | None = None
    score: float | None = None
    doubled: float | None = None
    low: float | None = None
    high: float | None = None
    obstacle: str = ""

    @property
    def gain(self) -> float | None:
        """Expected by the law; None where it cannot be fitted."""
        return None if self.score is None or self.doubled is None else self.doubled - self.score

    def predict(self, examples: float) -> float | None:
        """The law's score at this number of examples."""
        return None if self.a is None or self.b is None else 1 - self.a * examples**-self.b

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**asdict(self), "gain": self.gain, "usable": not self.obstacle}


def forecast_doubling(
    scores: Mapping[int, Sequence[float]], resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> Forecast:
    """Fit the law and say what twice the largest size would bring.

    Args:
        scores: of each number of examples, one per seed.
        resamples: of the bootstrap.
        seed: equal seeds and scores give equal intervals.
        level: probability mass between the two ends of the interval.
    """
    sizes = sorted(scores)
    most = sizes[-1]
    if len(sizes) < _LEAST_SIZES or any(len(scores[size]) < _LEAST_SEEDS for size in sizes):
        return Forecast(most, obstacle=f"a fit needs {_LEAST_SIZES} sizes with {_LEAST_SEEDS} seeds each")
    best = max(max(scores[size]) for size in sizes)
    if best >= 1 - _LEAST_ERROR:
        return Forecast(most, obstacle=f"a training scored {best:.3f}: no error is left to extrapolate")
    errors = [1 - np.asarray(scores[size], dtype=np.float64) for size in sizes]
    counts = np.repeat(np.asarray(sizes, dtype=np.float64), [len(one) for one in errors])
    a, b = _fit(counts, np.concatenate(errors)[None])
    drawn_a, drawn_b = _fit(counts, np.concatenate(_draw(errors, resamples, np.random.default_rng(seed)), axis=1))
    gains = drawn_a * most**-drawn_b * (1 - 2**-drawn_b)
    low, high = (float(end) for end in np.quantile(gains, [(1 - level) / 2, (1 + level) / 2]))
    now, doubled = (float(1 - a[0] * size ** -b[0]) for size in (most, 2 * most))
    obstacle = _find_obstacle(sizes, [float(1 - one.mean()) for one in errors], (low, high))
    return Forecast(most, float(a[0]), float(b[0]), now, doubled, low, high, obstacle)


def _draw(errors: Sequence[NDArray[np.float64]], resamples: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """For each size `resamples` rows of as many errors as it has seeds."""
    drawn = []
    for one in errors:
        spread = (one - one.mean()) * np.sqrt(len(one) / (len(one) - 1))
        drawn.append(np.maximum(one.mean() + rng.choice(spread, size=(resamples, len(one))), _LEAST_ERROR))
    return drawn


def _fit(counts: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The law's a and b of each row of errors; the columns belong to `counts`."""
    x = np.log(counts) - np.log(counts).mean()
    y = np.log(errors)
    slope = (y @ x) / (x @ x)
    return np.exp(y.mean(axis=1) - slope * np.log(counts).mean()), -slope


def _find_obstacle(sizes: Sequence[int], means: Sequence[float], interval: tuple[float, float]) -> str:
    """Why the fit says nothing about more data; empty where it does."""
    for (before, lower), (after, higher) in pairwise(zip(sizes, means, strict=True)):
        if higher < lower:
            return f"the mean score falls from {lower:.3f} at {before} examples to {higher:.3f} at {after}"
    low, high = interval
    return f"the interval of the gain [{low:+.3f}, {high:+.3f}] holds 0" if low <= 0 <= high else ""
