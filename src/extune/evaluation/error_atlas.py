"""Every false positive and every false negative of a test set in exactly one class, and where each class happens.

In: gold and predicted annotations with the problems of the answers; optionally how often train has each mention. Out: an
`ErrorAtlas` whose totals are those of `metrics` (strict, micro). It knows nothing about files, models and pages.

A missed span and a wrong one are paired where they overlap, as many pairs as possible, in three rounds:

* **boundary**: same type. These pairs are the halves that the partial mode gives: twice its gain over the strict one.
* **type**: same place, another type.
* **boundary+type**: an overlap, another type.

What stays alone:

* **spurious**: a predicted span that overlaps nothing missed. **missing**: a gold span that overlaps nothing wrong.
* **duplicate**: a mention that was written more often than its type leaves places for.
* **ungrounded**: a mention that is not in its text (in gold: one without position).
* **unparseable**: a piece that could not be read, or names a type that the task lacks; and the missed spans of an answer of
  which nothing at all could be read.
* **cut off**: the missed spans of an answer that the token budget ended or that was never asked for because its text did not
  fit; and, of such an answer, one unreadable piece for each cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from extune.domain.annotation import Extraction, Mention, Span
from extune.domain.prediction import Problem, ProblemKind
from extune.evaluation.matching import compare_spans, find_pairs
from extune.evaluation.metrics import PRF

_QUARTERS = ("first quarter", "second quarter", "third quarter", "last quarter")
_LENGTHS = ((1, "1"), (2, "2"), (3, "3"), (4, "4"), (6, "5-6"), (10, "7-10"))  # last length, name
_FREQUENCIES = ((0, "0"), (1, "1"), (4, "2-4"), (19, "5-19"))  # last count, name
SEEN = ("seen with this type", "seen with another type", "unseen")
_LONGER, _OFTENER = "11 or more", "20 or more"
NO_PLACE = "no place"


class ErrorClass(StrEnum):
    """The classes, in the order of every table; the module's docstring defines them."""

    BOUNDARY = "boundary"
    TYPE = "type"
    BOUNDARY_AND_TYPE = "boundary+type"
    MISSING = "missing"
    SPURIOUS = "spurious"
    DUPLICATE = "duplicate"
    UNGROUNDED = "ungrounded"
    UNPARSEABLE = "unparseable"
    CUT_OFF = "cut off"


@dataclass(frozen=True)
class AtlasDocument:
    """One scored document; `length` is that of its text, in characters."""

    id: str
    length: int
    gold: Extraction
    predicted: Extraction
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class Mistake:
    """One false positive or false negative.

    Attributes:
        document: its id.
        side: `fp` or `fn`.
        kind: the one class it belongs to.
        mention: None for a piece of an answer that named none that could be read.
        start: in characters; None where it has no place in the text.
        partner: the span of the other side that it was paired with.
        seen: its group in the breakdown `seen`; None where train is not known, or where there is no mention.
    """

    document: str
    side: Literal["fp", "fn"]
    kind: ErrorClass
    mention: Mention | None
    start: int | None = None
    partner: Span | None = None
    seen: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not known is null."""
        end = None if self.start is None or self.mention is None else self.start + len(self.mention.text)
        other = self.partner
        return {
            "id": self.document,
            "side": self.side,
            "class": str(self.kind),
            "type": self.mention and self.mention.type,
            "text": self.mention and self.mention.text,
            "start": self.start,
            "end": end,
            "paired_with": other and {"start": other.start, "end": other.end, "type": other.type, "text": other.text},
            "seen": self.seen,
        }


@dataclass(frozen=True)
class AtlasRow:
    """One line of a breakdown: what is right in this group, and the mistakes of each class."""

    name: str
    right: int
    wrong: Mapping[ErrorClass, int]
    missed: Mapping[ErrorClass, int]

    @property
    def prf(self) -> PRF:
        """Strict counts of the group."""
        return PRF(self.right, sum(self.wrong.values()), sum(self.missed.values()))

    def to_json(self) -> dict[str, Any]:
        """Counts, figures, and the classes that occur."""
        both = [kind for kind in ErrorClass if self.wrong.get(kind) or self.missed.get(kind)]
        classes = {str(kind): {"fp": self.wrong.get(kind, 0), "fn": self.missed.get(kind, 0)} for kind in both}
        return {"name": self.name, **self.prf.to_json(), "classes": classes}


@dataclass(frozen=True)
class ErrorAtlas:
    """All mistakes of a test set.

    Attributes:
        total: everything in one row.
        breakdowns: `type`, `length`, `position` and, where train is known, `frequency` and `seen`; each holds every mistake
            once. A row `no place` collects what has no mention or no place to group it by.
        mistakes: in the order of the documents.
    """

    total: AtlasRow
    breakdowns: Mapping[str, tuple[AtlasRow, ...]]
    mistakes: tuple[Mistake, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "total": self.total.to_json(),
            "breakdowns": {name: [row.to_json() for row in rows] for name, rows in self.breakdowns.items()},
            "mistakes": [mistake.to_json() for mistake in self.mistakes],
        }


def build_atlas(
    documents: Iterable[AtlasDocument], types: Sequence[str], train: Mapping[Mention, int] | None = None
) -> ErrorAtlas:
    """Class every mistake and count where it happens.

    Args:
        documents: of the test set.
        types: order of the breakdown by type; types that occur but are not listed follow, sorted by name.
        train: how often the training set has each mention; None leaves two breakdowns out.
    """
    items: list[_Item] = []
    for document in documents:
        items += _list_items(document)
    groupings: dict[str, tuple[Callable[[_Item], str], Sequence[str]]] = {
        "type": (lambda item: item.mention.type if item.mention else NO_PLACE, _order_types(types, items)),
        "length": (_name_length, [*(name for _, name in _LENGTHS), _LONGER]),
        "position": (_name_position, _QUARTERS),
    }
    if train is not None:
        times = Counter[str]()
        for mention, count in train.items():
            times[mention.text] += count
        groupings["frequency"] = (lambda item: _name_frequency(item, times), [*(name for _, name in _FREQUENCIES), _OFTENER])
        groupings["seen"] = (lambda item: _name_seen(item, train, times), SEEN)
        items = [_add_seen(item, train, times) for item in items]
    breakdowns = {name: _break_down(items, group, order) for name, (group, order) in groupings.items()}
    total = _count("all", items)
    return ErrorAtlas(total, breakdowns, tuple(item.mistake for item in items if item.mistake is not None))


@dataclass(frozen=True)
class _Item:
    """A right span (`mistake` is None) or a mistake; `place` is its start as a share of the text."""

    mention: Mention | None
    place: float | None
    mistake: Mistake | None


def _list_items(document: AtlasDocument) -> Iterator[_Item]:
    comparison = compare_spans(document.gold, document.predicted)
    for span in comparison.found:
        yield _Item(Mention(span.type, span.text), span.start / document.length, None)
    for mistake in _list_mistakes(document, comparison.missed, comparison.spurious):
        place = None if mistake.start is None else mistake.start / document.length
        yield _Item(mistake.mention, place, mistake)


def _list_mistakes(document: AtlasDocument, missed: Sequence[Span], wrong: Sequence[Span]) -> Iterator[Mistake]:
    kinds = Counter(problem.kind for problem in document.problems)
    pairs = _pair(missed, wrong)
    partners = {gold: (kind, predicted) for predicted, (kind, gold) in pairs.items()}
    alone = _class_of_unpaired_gold(document, kinds)
    for number, span in enumerate(missed):
        kind, partner = partners.get(number, (alone, None))
        yield _mistake(document, "fn", kind, span, None if partner is None else wrong[partner])
    for mention in document.gold.ungrounded:
        yield Mistake(document.id, "fn", ErrorClass.UNGROUNDED, mention)
    for number, span in enumerate(wrong):
        kind, partner = pairs.get(number, (ErrorClass.SPURIOUS, None))
        yield _mistake(document, "fp", kind, span, None if partner is None else missed[partner])
    for mention in document.predicted.ungrounded:
        yield Mistake(document.id, "fp", ErrorClass.UNGROUNDED, mention)
    torn = min(kinds[ProblemKind.CUT_OFF], kinds[ProblemKind.UNPARSEABLE])
    unreadable = kinds[ProblemKind.UNPARSEABLE] + kinds[ProblemKind.UNKNOWN_TYPE] - torn
    pieces = {
        ErrorClass.CUT_OFF: torn,
        ErrorClass.UNPARSEABLE: unreadable,
        ErrorClass.DUPLICATE: kinds[ProblemKind.DUPLICATE],
    }
    for kind, count in pieces.items():
        yield from [Mistake(document.id, "fp", kind, None)] * count


def _mistake(document: AtlasDocument, side: Literal["fp", "fn"], kind: ErrorClass, span: Span, partner: Span | None) -> Mistake:
    return Mistake(document.id, side, kind, Mention(span.type, span.text), span.start, partner)


def _pair(missed: Sequence[Span], wrong: Sequence[Span]) -> dict[int, tuple[ErrorClass, int]]:
    """For each paired number in `wrong` its class and its partner's number in `missed`."""
    rounds: tuple[tuple[ErrorClass, Callable[[Span, Span], bool]], ...] = (
        (ErrorClass.BOUNDARY, lambda gold, predicted: gold.type == predicted.type and gold.overlaps(predicted)),
        (ErrorClass.TYPE, lambda gold, predicted: (gold.start, gold.end) == (predicted.start, predicted.end)),
        (ErrorClass.BOUNDARY_AND_TYPE, lambda gold, predicted: gold.overlaps(predicted)),
    )
    pairs: dict[int, tuple[ErrorClass, int]] = {}
    for kind, belong in rounds:
        used = {gold for _, gold in pairs.values()}
        left = [number for number in range(len(wrong)) if number not in pairs]
        neighbours = [_list_partners(missed, wrong[number], used, belong) for number in left]
        pairs |= {left[number]: (kind, gold) for number, gold in find_pairs(neighbours).items()}
    return pairs


def _list_partners(missed: Sequence[Span], span: Span, used: set[int], belong: Callable[[Span, Span], bool]) -> list[int]:
    """Numbers of the missed spans that are free and may be paired with `span`, those that share most of it first."""
    free = [number for number, gold in enumerate(missed) if number not in used and belong(gold, span)]
    return sorted(free, key=lambda number: -_shared(missed[number], span))


def _shared(one: Span, other: Span) -> float:
    """Characters in both over characters in either."""
    both = min(one.end, other.end) - max(one.start, other.start)
    return both / (max(one.end, other.end) - min(one.start, other.start))


def _class_of_unpaired_gold(document: AtlasDocument, kinds: Counter[ProblemKind]) -> ErrorClass:
    if kinds[ProblemKind.CUT_OFF] or kinds[ProblemKind.CLOSED_EARLY] or kinds[ProblemKind.TOO_LONG]:
        return ErrorClass.CUT_OFF
    nothing_read = not document.predicted.spans and not document.predicted.ungrounded
    return ErrorClass.UNPARSEABLE if nothing_read and kinds[ProblemKind.UNPARSEABLE] else ErrorClass.MISSING


def _order_types(types: Sequence[str], items: Sequence[_Item]) -> list[str]:
    return [*types, *sorted({item.mention.type for item in items if item.mention} - set(types))]


def _name_length(item: _Item) -> str:
    return _name_number(len(item.mention.text), _LENGTHS, _LONGER) if item.mention else NO_PLACE


def _name_position(item: _Item) -> str:
    return NO_PLACE if item.place is None else _QUARTERS[int(4 * item.place)]


def _name_frequency(item: _Item, times: Counter[str]) -> str:
    return _name_number(times[item.mention.text], _FREQUENCIES, _OFTENER) if item.mention else NO_PLACE


def _add_seen(item: _Item, train: Mapping[Mention, int], times: Counter[str]) -> _Item:
    """The item, its mistake knowing whether train has its mention."""
    if item.mistake is None or item.mention is None:
        return item
    return replace(item, mistake=replace(item.mistake, seen=_name_seen(item, train, times)))


def _name_seen(item: _Item, train: Mapping[Mention, int], times: Counter[str]) -> str:
    if item.mention is None:
        return NO_PLACE
    with_type, with_another, unseen = SEEN
    if train.get(item.mention):
        return with_type
    return with_another if times[item.mention.text] else unseen


def _name_number(number: int, names: Sequence[tuple[int, str]], beyond: str) -> str:
    return next((name for last, name in names if number <= last), beyond)


def _break_down(items: Sequence[_Item], group: Callable[[_Item], str], order: Sequence[str]) -> tuple[AtlasRow, ...]:
    """A row for each group that has an item, `no place` last."""
    members: dict[str, list[_Item]] = {name: [] for name in (*order, NO_PLACE)}
    for item in items:
        members[group(item)].append(item)
    return tuple(_count(name, found) for name, found in members.items() if found)


def _count(name: str, items: Sequence[_Item]) -> AtlasRow:
    sides: dict[str, Counter[ErrorClass]] = {"fp": Counter(), "fn": Counter()}
    for item in items:
        if item.mistake is not None:
            sides[item.mistake.side][item.mistake.kind] += 1
    return AtlasRow(name, sum(item.mistake is None for item in items), sides["fp"], sides["fn"])
