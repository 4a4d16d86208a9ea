"""Which answer row belongs to which example.

In: rows of a file and gold examples. Out: one row for each example. It knows nothing about what the rows say.
"""

from __future__ import annotations

from collections.abc import Sequence

from extune.data.predictions.rows import AnswerRow
from extune.domain.example import Example
from extune.errors import DataError


def pair_rows(path: str, rows: Sequence[AnswerRow], examples: Sequence[Example]) -> tuple[list[AnswerRow], str]:
    """One row for each example, in the order of the examples, and by what they were paired.

    By id where every row names one of gold's; else by text where every row repeats one of gold's; else by order where there are
    as many rows as examples. Rows that could not be read answer, in order, the examples that are left.

    Raises:
        DataError: an example has no row, or a row no example.
    """
    readable = [row for row in rows if row.readable]
    ids = {example.id for example in examples}
    texts = {example.text for example in examples}
    if readable and all(row.id in ids for row in readable):
        return _fill(path, rows, examples, [row.id or "" for row in readable], [one.id for one in examples]), "id"
    in_order = len(rows) == len(examples)
    if in_order and all(row.text in (None, example.text) for row, example in zip(rows, examples, strict=True)):
        return list(rows), "order"
    if readable and all(row.text in texts for row in readable):
        return _fill(path, rows, examples, [row.text or "" for row in readable], [one.text for one in examples]), "text"
    if in_order:
        return list(rows), "order, though texts differ"
    stranger = next((row for row in readable if row.id not in ids and row.text not in texts), None)
    what = f"{len(rows)} rows for {len(examples)} examples, and no id or text that pairs them"
    if stranger is not None:
        what += f"; line {stranger.line} belongs to no example"
    raise DataError(
        what,
        where=path,
        expected="ids or texts of the gold file, or as many rows as it has examples, in its order",
        fix="predict the file that is scored, and keep its ids",
    )


def _fill(
    path: str, rows: Sequence[AnswerRow], examples: Sequence[Example], row_keys: Sequence[str], example_keys: Sequence[str]
) -> list[AnswerRow]:
    """Pair equal keys in their order; unreadable rows go to the examples that are left."""
    waiting: dict[str, list[AnswerRow]] = {}
    for key, row in zip(row_keys, (row for row in rows if row.readable), strict=True):
        waiting.setdefault(key, []).append(row)
    torn = [row for row in rows if not row.readable]
    paired: list[AnswerRow] = []
    lacking: list[str] = []
    for key, example in zip(example_keys, examples, strict=True):
        queue = waiting.get(key) or torn
        if queue:
            paired.append(queue.pop(0))
        else:
            lacking.append(example.id)
    left = [row.line for queue in waiting.values() for row in queue] + [row.line for row in torn]
    if lacking or left:
        parts = [f"{len(lacking)} examples have no prediction, the first is {lacking[0]!r}"] if lacking else []
        parts += [f"{len(left)} rows belong to no example, the first is line {min(left)}"] if left else []
        raise DataError(
            "; ".join(parts),
            where=path,
            expected=f"exactly one prediction for each of the {len(examples)} gold examples",
            fix="predict the same file that is scored, and keep its ids",
        )
    return paired
