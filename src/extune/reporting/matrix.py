"""A confusion matrix as a page shows it. In: counts of types or labels. Out: rows of cells. It counts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from extune.evaluation.classification_metrics import INVALID, ClassificationScore
from extune.evaluation.type_confusion import MISSED, NO_TYPE, SPURIOUS, TypeConfusion
from extune.reporting.views import NO_LABEL

MOST_NAMES = 40


@dataclass(frozen=True)
class Cell:
    """One count.

    Attributes:
        share: of its row.
        gold: number of the gold name in the page's list of names, empty where there is none; `predicted` likewise.
    """

    count: int
    share: float
    gold: str
    predicted: str
    is_right: bool


@dataclass(frozen=True)
class Row:
    """One gold name; `known` is False for a row of ours, whose name is a word of the page."""

    name: str
    known: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    """A table; `header` holds (name, known) of the columns, `left_out` is the number of names beyond `MOST_NAMES`."""

    header: tuple[tuple[str, bool], ...]
    rows: tuple[Row, ...]
    left_out: int


def draw_types(confusion: TypeConfusion, names: Sequence[str]) -> Matrix:
    """The matrix of a type confusion; `names` is the page's list."""
    table = {name: dict(zip(confusion.header(), counts, strict=True)) for name, counts in confusion.rows()}
    numbers = {name: str(number) for number, name in enumerate(names)}
    support = {name: sum(table[name].values()) for name in confusion.types}
    shown = _choose(support)
    columns = [
        *((name, numbers[name]) for name in shown),
        (MISSED, ""),
        *((one, "") for one in (NO_TYPE,) if one in confusion.header()),
    ]
    rows = [*((name, numbers[name]) for name in shown), (SPURIOUS, "")]
    drawn = [_draw_row(row, columns, [table[row[0]].get(column, 0) for column, _ in columns]) for row in rows]
    return Matrix(tuple((name, bool(number)) for name, number in columns), tuple(drawn), len(support) - len(shown))


def draw_labels(score: ClassificationScore, names: Sequence[str]) -> Matrix:
    """The matrix of a classification with one label per example."""
    numbers = {name: str(number) for number, name in enumerate(names)}
    support = {name: int(prf.tp + prf.fn + prf.fp) for name, prf in score.per_label.items() if not prf.is_empty}
    shown = _choose(support)
    columns = [*((name, numbers[name]) for name in shown), *((one, "") for one in (INVALID,) if score.invalid)]
    rows = [(name, numbers[name]) for name in shown]
    drawn = [_draw_row(row, columns, [score.confusion.get(row[0], {}).get(column, 0) for column, _ in columns]) for row in rows]
    header = tuple((name or NO_LABEL, bool(number)) for name, number in columns)
    return Matrix(header, tuple(drawn), len(support) - len(shown))


def _choose(support: dict[str, int]) -> list[str]:
    """The names that occur most, in their own order."""
    most = set(sorted(support, key=lambda name: -support[name])[:MOST_NAMES])
    return [name for name in support if name in most]


def _draw_row(row: tuple[str, str], columns: Sequence[tuple[str, str]], counts: Sequence[int]) -> Row:
    name, gold = row
    total = sum(counts) or 1
    cells = tuple(
        Cell(count, count / total, gold, predicted, is_right=bool(gold) and gold == predicted)
        for count, (_, predicted) in zip(counts, columns, strict=True)
    )
    return Row(name, bool(gold), cells)
