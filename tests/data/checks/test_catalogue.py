"""The documents list the findings that there are, with their severity."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extune.data.checks.catalogue import KINDS, ROW_CODES, SEVERITIES

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("name", ["data-doctor.md", "data-doctor.zh-CN.md"])
def test_the_table_of_findings_is_complete(name: str) -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+)(\*?) \|", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert [(code, severity) for code, severity, _ in rows] == [(code, kind.severity) for code, kind in KINDS.items()]
    assert {code for code, _, star in rows if star} == ROW_CODES


def test_every_finding_says_what_to_do() -> None:
    for kind in KINDS.values():
        assert kind.severity in SEVERITIES
        assert kind.what
        assert kind.fix
