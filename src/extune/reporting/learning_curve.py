"""A learning curve as a picture and as a page that needs nothing but itself.

In: scores by number of training examples, and forecasts. Out: an SVG, an HTML file. It fits nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from markupsafe import Markup

from extune.evaluation.power_law import Forecast
from extune.files import write_text
from extune.reporting.page import write_page

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 320, 60, 24, 30, 44  # pixels
_MARGIN = 0.06  # of the scale beyond the values
_LAW_POINTS = 40
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #1f2328 }
.back { fill: #ffffff } .grid { stroke: #d8dee4 } .dot { fill: #0969da }
.mean { fill: none; stroke: #0969da; stroke-width: 1.8 }
.law { fill: none; stroke: #bf8700; stroke-width: 1.8; stroke-dasharray: 5 4 } .range { stroke: #bf8700; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc } .back { fill: #0d1117 } .grid { stroke: #30363d }
.dot { fill: #58a6ff } .mean { stroke: #58a6ff } .law, .range { stroke: #d29922 } }
"""


@dataclass(frozen=True)
class CurveLine:
    """One figure: its name for people, its scores by number of examples (one per seed), and its forecast."""

    name: str
    scores: Mapping[int, Sequence[float]]
    forecast: Forecast

    @property
    def means(self) -> dict[int, float]:
        """Mean score at each size, in the order of the sizes."""
        return {size: math.fsum(values) / len(values) for size, values in sorted(self.scores.items())}


def draw_learning_curve(picture: Path, line: CurveLine) -> None:
    """Write the picture of one figure, atomically."""
    write_text(picture, render_learning_curve(line))


def write_curve_page(page: Path, name: str, lines: Sequence[CurveLine], dev: int) -> None:
    """Write the page: the picture of the first figure and a table of all; `name` is the recipe's, `dev` counts examples."""
    rows = [(line.name, list(line.means.values()), describe_forecast(line.forecast)) for line in lines]
    context = {
        "title": f"{name} · learning curve",
        "picture": Markup(render_learning_curve(lines[0])),
        "sizes": list(lines[0].means),
        "rows": rows,
        "verdict": describe_forecast(lines[0].forecast),
        "dev": dev,
    }
    write_page(page, "curve", context)


def describe_forecast(forecast: Forecast) -> str:
    """What a forecast says, in one sentence."""
    if forecast.gain is None or forecast.low is None or forecast.high is None:
        return f"no forecast: {forecast.obstacle}"
    gain = f"{2 * forecast.examples} examples: {forecast.gain:+.3f} [{forecast.low:+.3f}, {forecast.high:+.3f}]"
    return f"not usable: {forecast.obstacle}" if forecast.obstacle else gain


def render_learning_curve(line: CurveLine) -> str:
    """The picture: scores of all seeds, their means, the law up to twice the data, and the interval there."""
    forecast = line.forecast
    law = _law_points(line)
    values = [value for scores in line.scores.values() for value in scores] + [value for _, value in law]
    ends = _interval(forecast)
    values += ends
    low, high = min(values), max(values)
    margin = (high - low) * _MARGIN or 0.05
    low, high = low - margin, high + margin
    sizes = list(line.means)
    first, last = math.log(sizes[0]), math.log(2 * sizes[-1])

    def across(size: float) -> float:
        return _LEFT + (math.log(size) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    drawn = [_text(_LEFT, 18, f"{line.name} by number of training examples", "start", "title")]
    for value in _round_values(low, high):
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>')
        drawn.append(_text(_LEFT - 8, up(value) + 4, f"{value:g}", "end"))
    for size in (*sizes, 2 * sizes[-1]):
        drawn.append(_text(across(size), _HEIGHT - _BOTTOM + 20, str(size), "middle"))
    drawn.append(_path("law", [(across(size), up(value)) for size, value in law]))
    drawn.append(_path("mean", [(across(size), up(mean)) for size, mean in line.means.items()]))
    for size, scores in sorted(line.scores.items()):
        drawn += [f'<circle class="dot" cx="{across(size):.1f}" cy="{up(value):.1f}" r="3"/>' for value in scores]
    if ends:
        place = across(2 * sizes[-1])
        drawn.append(f'<line class="range" x1="{place:.1f}" x2="{place:.1f}" y1="{up(ends[0]):.1f}" y2="{up(ends[1]):.1f}"/>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'style="max-width: 100%; height: auto" role="img" aria-label="{escape(describe_forecast(forecast))}">'
    )
    back = '<rect class="back" width="100%" height="100%"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", back, *drawn, "</svg>"]) + "\n"


def _law_points(line: CurveLine) -> list[tuple[float, float]]:
    """The law from the smallest size to twice the largest; empty where there is none."""
    sizes = list(line.means)
    ratio = 2 * sizes[-1] / sizes[0]
    places = [sizes[0] * ratio ** (number / (_LAW_POINTS - 1)) for number in range(_LAW_POINTS)]
    return [(size, value) for size in places if (value := line.forecast.predict(size)) is not None]


def _interval(forecast: Forecast) -> list[float]:
    """Scores between which twice the data would end; empty where nothing was fitted."""
    if forecast.score is None or forecast.low is None or forecast.high is None:
        return []
    return [forecast.score + forecast.low, forecast.score + forecast.high]


def _round_values(low: float, high: float) -> list[float]:
    """About five round values between two ends."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _path(style: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _text(x: float, y: float, content: str, anchor: str, style: str = "") -> str:
    styled = f' class="{style}"' if style else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
