"""The tables of docs/memory*.md are what `extune check --plan` says."""

from __future__ import annotations

from benchmarks.memory import PAGES, render_rows, update


def test_the_tables_are_made_from_the_recipes() -> None:
    rows = render_rows()
    for page in PAGES:
        before, after = update(page, rows)
        assert before == after, "run python -m benchmarks.memory"
