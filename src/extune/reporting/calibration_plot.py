"""A calibration becomes a picture: how often items are right by confidence, and how many are wrong by share kept.

In: reliability before and after, a risk-coverage curve, the selected threshold. Out: one SVG that needs nothing else and
follows the reader's light or dark mode. It computes no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from extune.evaluation.calibration import RiskPoint, Selection
from extune.evaluation.reliability import Reliability
from extune.files import write_text

_SIDE, _LEFT, _TOP, _GAP, _BOTTOM = 300, 60, 58, 80, 56  # pixels
_WIDTH, _HEIGHT = _LEFT + 2 * _SIDE + _GAP + 30, _TOP + _SIDE + _BOTTOM
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #1f2328 }
.back { fill: #ffffff } .grid { stroke: #d8dee4 } .ideal { stroke: #6e7781; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round } .before { stroke: #6e7781 } .after { stroke: #0969da }
.dot { stroke: none } .dot.before { fill: #6e7781 } .dot.after { fill: #0969da } .kept { fill: none; stroke: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc } .back { fill: #0d1117 } .grid { stroke: #30363d }
.ideal { stroke: #9198a1 } .before { stroke: #9198a1 } .after { stroke: #58a6ff }
.dot.before { fill: #9198a1 } .dot.after { fill: #58a6ff } .kept { stroke: #58a6ff } }
"""


def draw_calibration(
    picture: Path, before: Reliability, after: Reliability, curve: Sequence[RiskPoint], selection: Selection
) -> None:
    """Write the picture, atomically."""
    right = _LEFT + _SIDE + _GAP
    highest = max(0.1, 1.1 * max([*(point.risk for point in curve), selection.max_risk]))
    drawn = [
        *_draw_frame(_LEFT, 1.0, ("confidence", "share that is right")),
        *_draw_reliability(before, "before"),
        *_draw_reliability(after, "after"),
        f'<line class="ideal" x1="{_LEFT}" y1="{_TOP + _SIDE}" x2="{_LEFT + _SIDE}" y2="{_TOP}"/>',
        _text(_LEFT, _TOP - 28, "reliability", "start", "title"),
        _text(_LEFT, _TOP - 11, f"ECE {before.error:.4f} raw (grey), {after.error:.4f} calibrated (blue)", "start"),
        *_draw_frame(right, highest, ("coverage: share of items kept", "risk: share of the kept that is wrong")),
        *_draw_risk(right, highest, curve, selection),
    ]
    size = f'xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {size} role="img" aria-label="calibration">'
    back = '<rect class="back" width="100%" height="100%"/>'
    write_text(picture, "\n".join([head, f"<style>{_STYLE}</style>", back, *drawn, "</svg>"]) + "\n")


def _draw_frame(left: float, highest: float, names: tuple[str, str]) -> list[str]:
    """Grid, ticks and the names of both axes; the first goes from 0 to 1, the second from 0 to `highest`."""
    bottom = _TOP + _SIDE
    drawn = []
    for tick in _TICKS:
        y = bottom - tick * _SIDE
        drawn.append(f'<line class="grid" x1="{left}" x2="{left + _SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(_text(left - 8, y + 4, f"{tick * highest:.2g}", "end"))
        drawn.append(_text(left + tick * _SIDE, bottom + 18, f"{tick:g}", "middle"))
    middle = _TOP + _SIDE / 2
    turned = (
        f'<text transform="translate({left - 42:.1f} {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(names[1])}</text>'
    )
    return [*drawn, _text(left + _SIDE / 2, bottom + 38, names[0], "middle"), turned]


def _draw_reliability(reliability: Reliability, style: str) -> list[str]:
    bottom = _TOP + _SIDE
    places = [(_LEFT + one.confidence * _SIDE, bottom - one.right * _SIDE) for one in reliability.bins]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    return [f'<polyline class="line {style}" points="{path}"/>', *dots]


def _draw_risk(left: float, highest: float, curve: Sequence[RiskPoint], selection: Selection) -> list[str]:
    bottom = _TOP + _SIDE

    def place(coverage: float, risk: float) -> tuple[float, float]:
        return left + coverage * _SIDE, bottom - risk / highest * _SIDE

    path = " ".join("{:.1f},{:.1f}".format(*place(point.coverage, point.risk)) for point in curve)
    y = place(0, selection.max_risk)[1]
    drawn = [
        f'<line class="ideal" x1="{left}" x2="{left + _SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<polyline class="line after" points="{path}"/>',
        _text(left, _TOP - 28, "risk and coverage", "start", "title"),
    ]
    if selection.threshold is None:
        return [*drawn, _text(left, _TOP - 11, f"no threshold keeps the risk at {selection.max_risk:.2g}", "start")]
    x, y = place(selection.coverage, selection.risk)
    told = f"at {selection.threshold:.3f}: {selection.coverage:.1%} kept, {selection.risk:.1%} of them wrong"
    return [*drawn, f'<circle class="kept" cx="{x:.1f}" cy="{y:.1f}" r="6"/>', _text(left, _TOP - 11, told, "start")]


def _text(x: float, y: float, content: str, anchor: str, style: str = "") -> str:
    styled = f' class="{style}"' if style else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
