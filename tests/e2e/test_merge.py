"""`extune merge` on the command line: what it says, and that what it writes is a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Extune = Callable[..., Any]


def test_a_run_is_merged_once_and_predicts(extune: Extune, trained_run: Path, tmp_path: Path) -> None:
    place = tmp_path / "merged"
    done = extune("merge", trained_run, "--out", place, "--device", "cpu")
    assert (done.code, done.err.count("Error")) == (0, 0)
    assert "predictions of 3 dev examples are equal" in done.out
    assert str(place) in done.out
    asked = ("--text", "患者头痛2日，服当归。", "--device", "cpu")
    assert extune("predict", place, *asked).out == extune("predict", trained_run, *asked).out
    again = extune("merge", trained_run, "--out", place)
    assert again.code == 2
    assert "exists already" in again.err
    nothing = extune("merge", place)
    assert nothing.code == 2
    assert "nothing to merge" in nothing.err
