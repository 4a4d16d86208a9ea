"""Two scored runs side by side: one page with what changed between them, in scores, documents, recipes and manifests.

In: two folders of scores, their comparison, what is known about the runs. Out: an HTML file. It compares nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.document_counts import DocumentCount
from extune.evaluation.error_atlas import ErrorAtlas
from extune.evaluation.significance import F1Difference
from extune.reporting.background import Background
from extune.reporting.documents import ShownDocument, build_payload
from extune.reporting.page import write_page

STATUSES = ("fixed", "broken", "both right", "both wrong")
_SPEEDS = ("training.seconds", "training.train_rows_per_second", "training.dev_rows_per_second")
_UNINTERESTING = frozenset({"started", "finished", *_SPEEDS, "training.log", "name"})


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        name: as the page calls it.
        meta: of its `report.json`.
        interval: 95 % document bootstrap of its headline.
        predictions: in the order of the examples; `counts` likewise.
        atlas: of its mistakes; None where there are no spans.
        background: None where the scores belong to no run.
    """

    name: str
    meta: Mapping[str, Any]
    interval: tuple[float, float] | None
    predictions: Sequence[Prediction]
    counts: Sequence[DocumentCount]
    atlas: ErrorAtlas | None
    background: Background | None


@dataclass(frozen=True)
class Change:
    """One entry that differs; a dash stands where there is none."""

    key: str
    first: object
    second: object


def write_pair_report(
    path: Path,
    sides: tuple[Side, Side],
    examples: Sequence[Example],
    differences: Mapping[str, F1Difference],
    headline: str,
) -> None:
    """Write the page.

    Args:
        path: of the page.
        sides: the first is what the second is held against.
        examples: of the test set.
        differences: by name, the whole first.
        headline: name of the figure of the whole.
    """
    documents = [
        ShownDocument(example, tuple(answers), (first.is_exact, second.is_exact), _find_status(first.is_exact, second.is_exact))
        for example, *answers, first, second in _zip(examples, sides)
    ]
    named = [f"A · {sides[0].name}", f"B · {sides[1].name}"]
    (overall, total), *rest = differences.items()
    backgrounds = [side.background for side in sides]
    context = {
        "title": f"{sides[0].name} → {sides[1].name}",
        "names": named,
        "sides": sides,
        "headline": headline,
        "overall": overall,
        "total": total,
        "differences": dict([(overall, total), *rest]),
        "most": max([abs(end) for one in differences.values() for end in (one.low, one.high)], default=0.0) or 1.0,
        "statuses": {name: sum(one.status == number for one in documents) for number, name in enumerate(STATUSES)},
        "recipe": _list_changes(*(one.recipe if one else {} for one in backgrounds)),
        "manifest": _list_changes(*(one.manifest if one else {} for one in backgrounds)),
        "knows_recipes": all(one is not None and one.recipe for one in backgrounds),
        "backgrounds": backgrounds,
    }
    payload = build_payload(
        documents, list(differences)[1:], answers=named, atlases=[side.atlas for side in sides], statuses=STATUSES
    )
    write_page(path, "pair", context, payload)


def _zip(examples: Sequence[Example], sides: tuple[Side, Side]) -> Iterator[Any]:
    one, other = sides
    return zip(examples, one.predictions, other.predictions, one.counts, other.counts, strict=True)


def _find_status(first: bool, second: bool) -> int:
    if first == second:
        return STATUSES.index("both right" if first else "both wrong")
    return STATUSES.index("fixed" if second else "broken")


def _list_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Change]:
    """The entries that differ, by dotted key; times and names of runs always do and are left out."""
    one, other = dict(_flatten(first, "")), dict(_flatten(second, ""))
    keys = [key for key in dict.fromkeys([*one, *other]) if key not in _UNINTERESTING]
    return [Change(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
