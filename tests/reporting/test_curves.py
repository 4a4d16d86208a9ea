"""The picture is well-formed for any log, and shows the points that count."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extune.errors import DataError
from extune.reporting.curves import draw_curves, render_curves
from extune.reporting.words import say_in_svg

_SVG = "{http://www.w3.org/2000/svg}"


def _draw(folder: Path, *lines: object) -> ElementTree.Element:
    log = folder / "log.jsonl"
    log.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), encoding="utf-8")
    draw_curves(log, folder / "curves.svg")
    return ElementTree.fromstring((folder / "curves.svg").read_text(encoding="utf-8"))


def _texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.iter(f"{_SVG}text")]


def _line(picture: ElementTree.Element, number: int = 0) -> list[tuple[float, float]]:
    points = list(picture.iter(f"{_SVG}polyline"))[number].attrib["points"]
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", points)]


def test_four_panels_and_the_best_dev_score(tmp_path: Path) -> None:
    picture = _draw(
        tmp_path,
        *({"step": step, "loss": 1 / step, "learning_rate": 2e-4} for step in range(10, 60, 10)),
        *({"step": step, "dev_f1": f1, "dev_loss": 0.5} for step, f1 in ((20, 0.5), (40, 0.75), (50, 0.6))),
    )
    texts = _texts(picture)
    assert {
        "loss",
        "dev F1",
        "learning rate",
        "optimizer step",
        "training · dev",
        "perplexity",
        "best 0.7500 at step 40",
    } <= set(texts)
    assert len(list(picture.iter(f"{_SVG}polyline"))) == 6


def test_higher_is_higher_and_later_is_further_right(tmp_path: Path) -> None:
    (x1, y1), (x2, y2) = _line(_draw(tmp_path, {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}))
    assert x1 < x2
    assert y1 < y2  # pixels count downwards


def test_perplexity_is_the_exponential_of_the_loss(tmp_path: Path) -> None:
    picture = _draw(tmp_path, *({"step": step, "loss": math.log(value)} for step, value in ((1, 1000), (2, 10))))
    heights = {"".join(text.itertext()): float(text.attrib["y"]) - 4 for text in picture.iter(f"{_SVG}text")}
    (_, first), (_, last) = _line(picture, 1)
    assert "perplexity" in heights
    assert (first, last) == (pytest.approx(heights["1000"], abs=0.1), pytest.approx(heights["10"], abs=0.1))


def test_a_loss_without_a_perplexity_is_left_out_of_that_panel(tmp_path: Path) -> None:
    picture = _draw(tmp_path, {"step": 1, "loss": 5000.0}, {"step": 2, "loss": 2.0})
    assert (len(_line(picture, 0)), len(_line(picture, 1))) == (2, 1)


def test_an_empty_log(tmp_path: Path) -> None:
    assert _texts(_draw(tmp_path)) == ["nothing was logged"]


def test_one_line_is_a_dot(tmp_path: Path) -> None:
    picture = _draw(tmp_path, {"step": 1, "loss": 0.5})
    assert len(list(picture.iter(f"{_SVG}circle"))) == 2  # of loss and of perplexity


def test_a_resumed_training_counts_once(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": loss} for step, loss in ((10, 4.0), (20, 3.0), (30, 9.0), (20, 2.0), (30, 1.0))]
    resumed = _line(_draw(tmp_path, *rows))
    assert resumed == _line(_draw(tmp_path, rows[0], *rows[3:]))


def test_a_torn_line_is_left_out_and_said_so(tmp_path: Path) -> None:
    picture = _draw(tmp_path, {"step": 1, "loss": 2.0}, '{"step": 2, "lo', "[]", {"step": 3, "loss": 1.0})
    assert len(_line(picture)) == 2
    assert "unreadable lines left out: 2" in _texts(picture)


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    picture = _draw(tmp_path, {"step": 1, "loss": float("nan")}, {"step": 2, "loss": 1.0}, {"step": 3, "loss": "high"})
    assert len(_line(picture)) == 1


def test_a_page_gets_the_same_curves_without_colours_and_in_both_languages(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": 1 / step, "dev_f1": step / 10} for step in range(1, 6)]
    alone = _draw(tmp_path, *rows)
    inside = render_curves(tmp_path / "log.jsonl", say_in_svg)
    assert "<style" not in inside
    assert "xmlns" not in inside
    page = ElementTree.fromstring(inside)
    assert [one.attrib["points"] for one in page.iter("polyline")] == [
        one.attrib["points"] for one in alone.iter(f"{_SVG}polyline")
    ]
    words = {(part.attrib["lang"], part.text) for part in page.iter("tspan") if "lang" in part.attrib}
    assert {("en", "best 0.5000 at step 5"), ("zh", "最佳 0.5000，第 5 步"), ("zh", "损失")} <= words


def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        draw_curves(tmp_path / "none.jsonl", tmp_path / "curves.svg")


_rows = st.fixed_dictionaries(
    {"step": st.integers(0, 10**6)},
    optional={key: st.floats(-1e9, 1e9, width=32) for key in ("loss", "dev_loss", "dev_f1", "learning_rate")},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_rows, max_size=6))
def test_any_log_is_drawn_inside_the_picture(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    picture = _draw(tmp_path, *rows)
    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    for number, _ in enumerate(picture.iter(f"{_SVG}polyline")):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in _line(picture, number))
    assert all(-1 <= float(text.attrib["y"]) <= height for text in picture.iter(f"{_SVG}text"))
