"""The data doctor's report as one page that needs nothing but itself. In: a report. Out: an HTML file. It checks nothing."""

from __future__ import annotations

from pathlib import Path

from extune.data.checks.catalogue import SEVERITIES
from extune.data.checks.report import CheckReport
from extune.reporting.page import write_page


def write_check_page(path: Path, name: str, report: CheckReport) -> None:
    """Write the page of a report; `name` is the recipe's."""
    names = list(dict.fromkeys(name for facts in report.splits.values() for name in facts.counts))
    by_severity = [(severity, [one for one in report if one.severity == severity]) for severity in SEVERITIES]
    context = {"title": f"{name} · data", "splits": report.splits, "names": names, "by_severity": by_severity}
    write_page(path, "check", context)
