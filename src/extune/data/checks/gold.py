"""What other rooms ask of gold before they use it. In: examples and an answer format. Out: numbers and problems."""

from __future__ import annotations

from collections.abc import Sequence

from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.task import ExtractionTask, Task
from extune.errors import DataError
from extune.prompts.alignment import align
from extune.prompts.formats.base import AnyFormat


def require_unique_ids(examples: Sequence[Example]) -> None:
    """Raise a DataError where two examples have the same id: their predictions could not be told apart."""
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise DataError(
                f"id {example.id!r} stands twice",
                where=str(example.source or "examples given in memory"),
                expected="a different id for each example of a split",
                fix="number the examples",
            )
        seen.add(example.id)


def count_open_occurrences(task: Task, answer_format: AnyFormat, example: Example) -> int:
    """Gold mentions whose place in the text the format's answer leaves open; the format must be able to hold the gold."""
    if not isinstance(task, ExtractionTask) or not isinstance(example.gold, Extraction):
        return 0
    target = answer_format.render_target(task, example.text, example.gold)
    return align(example.text, answer_format.parse_completion(task, example.text, target).items).open_items
