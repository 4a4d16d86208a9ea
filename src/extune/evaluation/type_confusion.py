"""Which type was predicted where gold has which. In: an atlas. Out: counts. It knows nothing about documents and pages.

A row is a gold type, a column a predicted one. Spans that overlap and were paired by the atlas share a cell; the diagonal
therefore holds what is right and what only has other boundaries. A missed span without partner stands in the column
`missed`, a wrong one in the row `spurious`, and a wrong piece that names no type in the column `no type`. So a row adds up to
the type's gold spans and a column to its predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extune.evaluation.error_atlas import ErrorAtlas

MISSED, SPURIOUS, NO_TYPE = "missed", "spurious", "no type"


@dataclass(frozen=True)
class TypeConfusion:
    """Counts of gold and predicted types.

    Attributes:
        types: those that occur, in the order of the atlas.
        pairs: (gold type, predicted type) of what is right or was paired, and how often.
        missed: by gold type.
        spurious: by predicted type; None stands for a piece that names none.
    """

    types: tuple[str, ...]
    pairs: Mapping[tuple[str, str], int]
    missed: Mapping[str, int]
    spurious: Mapping[str | None, int]

    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*self.types, MISSED, *((NO_TYPE,) if self.spurious.get(None) else ()))

    def rows(self) -> list[tuple[str, tuple[int, ...]]]:
        """Each row's name with its counts, in the order of `header`; `spurious` is the last."""
        pieces = (self.spurious[None],) if self.spurious.get(None) else ()
        rows = [
            (gold, (*(self.pairs.get((gold, name), 0) for name in self.types), self.missed.get(gold, 0), *(0 for _ in pieces)))
            for gold in self.types
        ]
        return [*rows, (SPURIOUS, (*(self.spurious.get(name, 0) for name in self.types), 0, *pieces))]

    def to_json(self) -> dict[str, Any]:
        """The table."""
        return {
            "columns": list(self.header()),
            "rows": [{"name": name, "counts": list(counts)} for name, counts in self.rows()],
        }


def confuse_types(atlas: ErrorAtlas) -> TypeConfusion:
    """Count from an atlas which types were taken for which."""
    by_type = atlas.breakdowns["type"]
    pairs = Counter({(row.name, row.name): row.right for row in by_type if row.right})
    missed: Counter[str] = Counter()
    spurious: Counter[str | None] = Counter()
    for mistake in atlas.mistakes:
        name = None if mistake.mention is None else mistake.mention.type
        if mistake.side == "fn" and name is not None:
            if mistake.partner is None:
                missed[name] += 1
            else:
                pairs[name, mistake.partner.type] += 1
        elif mistake.side == "fp" and mistake.partner is None:  # the others were counted with their gold span
            spurious[name] += 1
    occurring = {name for pair in pairs for name in pair} | set(missed) | set(spurious)
    return TypeConfusion(tuple(row.name for row in by_type if row.name in occurring), pairs, missed, spurious)
