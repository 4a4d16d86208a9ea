"""The page of the data doctor shows findings as text and works without any."""

from __future__ import annotations

from pathlib import Path

from tests.reporting.page_reader import Page

from extune.data.checks.finding import FindingLog, Room
from extune.data.checks.report import CheckReport, SplitFacts
from extune.reporting.check_page import write_check_page


def render(folder: Path, report: CheckReport) -> str:
    write_check_page(folder / "check.html", "<recipe>", report)
    return (folder / "check.html").read_text(encoding="utf-8")


def test_quotations_and_names_are_text(tmp_path: Path) -> None:
    log = FindingLog(skips_bad_rows=False)
    log.add("leak", Room("test", "a&b.jsonl"), 3, quote="<script>alert(1)</script>\ud800", detail="also <b>")
    facts = SplitFacts("a&b.jsonl", "utf-8", examples=2, counts={"<i>": 7})
    page = render(tmp_path, CheckReport({"test": facts}, log.findings()))
    assert "a&amp;b.jsonl:3" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;i&gt;" in page
    assert not [tag for tag in ("<script>alert", "<b>also", "<i>", "<recipe") if tag in page]
    assert ["a&b.jsonl:3", "also <b>", "<script>alert(1)</script>?"] in Page(page).cells
    assert "文本也出现在 train 中" in page


def test_a_report_without_findings_says_so(tmp_path: Path) -> None:
    page = render(tmp_path, CheckReport({}, ()))
    assert "Nothing was found." in page
