"""`log.jsonl` becomes a picture: loss, perplexity, dev scores and learning rate over the optimizer steps.

In: lines such as `{"step": 10, "loss": 0.7, "learning_rate": 2e-4}` and `{"step": 100, "dev_f1": 0.8}`. Out: one picture, as a
file that needs nothing else and follows the reader's light or dark mode, or as a part of a page, which brings the colours and
the words. It knows nothing about training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from extune.files import read_text, write_text

_WIDTH, _LEFT, _RIGHT = 760, 72, 24  # pixels, as all lengths here
_PANEL, _TITLE, _GAP = 170, 26, 22
_BOTTOM = 34
_OVERFLOW = 600.0  # nats; a margin is added before exp
_LEAST_NATS = 0.1  # below, the exponential has no round values in between
_DEV_FIGURES = {
    "dev_f1": "dev F1",
    "dev_macro_f1": "dev macro F1",
    "dev_accuracy": "dev accuracy",
    "dev_rouge_l": "dev ROUGE-L",
}
_STANDALONE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #1f2328 }
.back { fill: #ffffff } .grid { stroke: #d8dee4 } .train { stroke: #6e7781 } .dev { stroke: #0969da }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round } .dot { stroke: none }
.dot.dev { fill: #0969da } .dot.train { fill: #6e7781 } .best { fill: none; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc } .back { fill: #0d1117 } .grid { stroke: #30363d }
.train { stroke: #9198a1 } .dev { stroke: #58a6ff } .dot.dev { fill: #58a6ff } .dot.train { fill: #9198a1 } }
"""


@dataclass(frozen=True)
class _Series:
    """Points of one figure by step; `style` is `train` or `dev`."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Panel:
    """Series that share a scale.

    Attributes:
        from_zero: the scale begins at zero.
        exponential: the points are logarithms, and the ticks say what they are logarithms of.
    """

    title: str
    from_zero: bool
    series: tuple[_Series, ...]
    exponential: bool = False


@dataclass(frozen=True)
class _Axis:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int, least: float = 0.0) -> list[float]:
        """About `count` round values inside the scale, at least `least` apart."""
        step = _round_step(max((self.high - self.low) / count, least))
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


Say = Callable[..., str]
"""Writes one of the picture's phrases, with its values filled in, as SVG text content."""


def draw_curves(log: Path, picture: Path) -> None:
    """Read the log of a training and write the picture, atomically.

    Steps that were logged twice (a resumed training repeats some) count with their last line. Values that are not finite are
    left out; so are lines that are no JSON object (a machine went down while writing), and the picture says how many.
    """
    drawn, height = _draw(*_read_log(log), lambda phrase, **values: escape(phrase.format(**values)))
    size = f'xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:g}"'
    back = '<rect class="back" width="100%" height="100%"/>'
    write_text(picture, "\n".join([_head(height, size), f"<style>{_STANDALONE}</style>", back, *drawn, "</svg>"]) + "\n")


def render_curves(log: Path, say: Say) -> str:
    """The picture as an `svg` element without colours of its own.

    Args:
        log: see `draw_curves`.
        say: see `Say`.
    """
    drawn, height = _draw(*_read_log(log), say)
    return "\n".join([_head(height, 'class="curves"'), *drawn, "</svg>"])


def _read_log(log: Path) -> tuple[list[_Panel], int]:
    """The panels that have a point, and how many lines could not be read."""
    rows, unreadable = _read_rows(read_text(log))
    losses = (_collect(rows, "loss", "train", "training"), _collect(rows, "dev_loss", "dev", "dev"))
    panels = [
        _Panel("loss", True, losses),
        _Panel("perplexity", True, tuple(map(_below_overflow, losses)), exponential=True),
        *(_Panel(name, False, (_collect(rows, key, "dev", name),)) for key, name in _DEV_FIGURES.items()),
        _Panel("learning rate", True, (_collect(rows, "learning_rate", "train", "learning rate"),)),
    ]
    filled = [replace(panel, series=tuple(one for one in panel.series if one.points)) for panel in panels]
    return [panel for panel in filled if panel.series], unreadable


def _head(height: float, more: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height:g}" {more} role="img" aria-label="training curves">'


def _read_rows(text: str) -> tuple[list[Mapping[str, object]], int]:
    rows: list[Mapping[str, object]] = []
    unreadable = 0
    for line in filter(str.strip, text.split("\n")):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            unreadable += 1
    return rows, unreadable


def _collect(rows: Sequence[Mapping[str, object]], key: str, style: str, name: str) -> _Series:
    points = {}
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if isinstance(step, int | float) and isinstance(value, int | float) and math.isfinite(step) and math.isfinite(value):
            points[float(step)] = float(value)
    return _Series(name, style, tuple(sorted(points.items())))


def _below_overflow(losses: _Series) -> _Series:
    """The losses whose exponential is a number."""
    return replace(losses, points=tuple(point for point in losses.points if abs(point[1]) < _OVERFLOW))


def _draw(panels: Sequence[_Panel], unreadable: int, say: Say) -> tuple[list[str], float]:
    """What is in the picture, and its height. Panels share the axis of steps."""
    each = _TITLE + _PANEL + _GAP
    height = max(len(panels), 0.5) * each + _BOTTOM
    body = []
    if panels:
        last = max(step for panel in panels for one in panel.series for step, _ in one.points)
        across = _Axis(0, max(last, 1), _LEFT, _WIDTH - _RIGHT)
        for number, panel in enumerate(panels):
            body += _draw_panel(panel, across, number * each + _TITLE, say)
        bottom = len(panels) * each - _GAP
        for tick in across.ticks(8, least=1):
            body.append(_text(across.place(tick), bottom + 18, f"{tick:g}", "middle"))
        body.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 36, say("optimizer step"), "middle"))
    else:
        body.append(_text(_WIDTH / 2, height / 2, say("nothing was logged"), "middle"))
    if unreadable:
        body.append(_text(_WIDTH - _RIGHT, height - 8, say("unreadable lines left out: {count}", count=unreadable), "end"))
    return body, height


def _draw_panel(panel: _Panel, across: _Axis, top: float, say: Say) -> list[str]:
    values = [value for one in panel.series for _, value in one.points]
    low, high = _scale(min(values), max(values), panel.from_zero)
    if panel.exponential:
        high = max(high, low + _LEAST_NATS)
    up = _Axis(low, high, top + _PANEL, top)
    drawn = [_text(_LEFT, top - 9, say(panel.title), "start", "title")]
    if len(panel.series) > 1:
        names = " · ".join(f'<tspan class="dot {one.style}">{say(one.name)}</tspan>' for one in panel.series)
        drawn.append(f'<text x="{_WIDTH - _RIGHT}" y="{top - 9:g}" text-anchor="end">{names}</text>')
    for tick, label in _ticks_of_exponential(up) if panel.exponential else [(tick, tick) for tick in up.ticks(4)]:
        y = up.place(tick)
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(_text(_LEFT - 8, y + 4, f"{label:.6g}", "end"))
    for one in panel.series:
        drawn += _draw_series(one, across, up, say)
    return drawn


def _ticks_of_exponential(axis: _Axis) -> list[tuple[float, float]]:
    """Where round values of the exponential lie on an axis of logarithms, and these values."""
    if axis.high - axis.low < math.log(8):
        values = _Axis(math.exp(axis.low), math.exp(axis.high), 0, 1).ticks(4)
        return [(math.log(value), value) for value in values if value > 0]
    tens = _Axis(axis.low / math.log(10), axis.high / math.log(10), 0, 1)
    return [(power * math.log(10), 10.0**power) for power in tens.ticks(4, least=1)]


def _draw_series(series: _Series, across: _Axis, up: _Axis, say: Say) -> list[str]:
    """A line; dots where it is a dev series or too short for a line; a ring and the value at the best dev score."""
    places = [(across.place(step), up.place(value)) for step, value in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = [f'<polyline class="line {series.style}" points="{path}"/>']
    if series.style == "dev" or len(places) == 1:
        drawn += [f'<circle class="dot {series.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.8"/>' for x, y in places]
    if series.name in _DEV_FIGURES.values():
        best = max(range(len(places)), key=lambda number: series.points[number][1])
        x, y = places[best]
        step, value = series.points[best]
        anchor = "end" if x > _WIDTH / 2 else "start"
        drawn.append(f'<circle class="best dev" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
        told = say("best {value} at step {step}", value=f"{value:.4f}", step=f"{step:g}")
        drawn.append(_text(x, y + 22, told, anchor, "title"))
    return drawn


def _text(x: float, y: float, content: str, anchor: str, style: str = "") -> str:
    """A text element; the content is SVG already."""
    styled = f' class="{style}"' if style else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def _scale(low: float, high: float, from_zero: bool) -> tuple[float, float]:
    """The ends of a scale: a little beyond the values, or from zero; never the same."""
    if from_zero and low >= 0:
        return 0.0, high * 1.06 or 1.0
    margin = (high - low) * 0.06 or abs(high) / 2 or 0.5
    return low - margin, high + margin


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
