"""The data doctor's report as one page that needs nothing but itself. In: a report. Out: an HTML file. It checks nothing."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from extune.data.checks.catalogue import SEVERITIES
from extune.data.checks.report import CheckReport
from extune.files import write_text


def write_check_page(path: Path, name: str, report: CheckReport) -> None:
    """Write the page of a report; `name` is the recipe's."""
    environment = Environment(
        loader=PackageLoader("extune.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = list(dict.fromkeys(name for facts in report.splits.values() for name in facts.counts))
    by_severity = [(severity, [one for one in report if one.severity == severity]) for severity in SEVERITIES]
    page = environment.get_template("check.html.jinja").render(
        title=f"{name} · data", splits=report.splits, names=names, by_severity=by_severity
    )
    # A quotation may hold a lone surrogate, which no encoding can write.
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))
