"""Parities in the docs are those of `benchmarks/results`."""

from __future__ import annotations

import pytest
from benchmarks.parity_tables import PAGES, update


@pytest.mark.parametrize("page", PAGES)
def test_the_table_is_made_from_the_results(page: str) -> None:
    before, after = update(page)
    assert before == after, "run python -m benchmarks.parity_tables"
