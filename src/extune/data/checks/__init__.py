"""The data doctor's room: what can be said about labelled data before anything is trained.

In: rows, a task, and callables for all that needs a tokenizer. Out: findings, each with places and what to do. One family of
findings a file. It knows nothing about models.
"""

from __future__ import annotations

from extune.data.checks.gold import count_open_occurrences, require_unique_ids

__all__ = ["count_open_occurrences", "require_unique_ids"]
