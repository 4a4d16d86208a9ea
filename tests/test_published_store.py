"""The tables of docs/token-store*.md are those of the results."""

from __future__ import annotations

import pytest
from benchmarks.token_store import PAGES, update


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_made_from_the_results(page: str) -> None:
    before, after = update(page)
    assert before == after, "run python -m benchmarks.token_store --tables"
