"""The documents of a report as plain values that the page's script pages through, filters and marks.

In: examples with one or two predictions each, what is known about their mistakes. Out: JSON values with short keys, because
a page holds thousands: `i` id, `s` source, `x` text, `h` history, `k` stands in train too, `z` status of a pair, `g` gold, `a`
answers; of an annotation `p` spans (start, end, name, confidence), `u` mentions without place (name, text), `f` fields, `l`
labels, `t` text; of an answer also `e` exact, `m` mistakes, `n` problems (kind, detail), `c` completion. Names, classes and
groups are numbers in the payload's lists. It knows no HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.error_atlas import SEEN, ErrorAtlas, ErrorClass, Mistake
from extune.reporting.privacy import hide_folders

MOST_DOCUMENTS = 20_000
WRONG_LABEL, NO_LABEL, DIFFERENT = "wrong label", "no label", "different"
_CLASSES = (*map(str, ErrorClass), WRONG_LABEL, NO_LABEL, DIFFERENT)
_KINDS: Mapping[type, str] = {
    Extraction: "extraction",
    Fields: "record",
    Labels: "classification",
    Answer: "generation",
}


@dataclass(frozen=True)
class ShownDocument:
    """One document with what each system answered.

    Attributes:
        exact: of each prediction, whether nothing is wrong with it.
        status: in a comparison of two, an index into the payload's `statuses`.
    """

    example: Example
    predictions: tuple[Prediction, ...]
    exact: tuple[bool, ...]
    status: int | None = None


def build_payload(
    documents: Sequence[ShownDocument],
    names: Sequence[str],
    *,
    answers: Sequence[str],
    atlases: Sequence[ErrorAtlas | None] = (),
    leaked: Collection[str] = (),
    statuses: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that the script needs.

    Args:
        documents: of the whole test set. Of more than `MOST_DOCUMENTS`, those with mistakes come first and the rest is left
            out, which the page says.
        names: types, fields or labels in their order; others that occur follow.
        answers: heading of each prediction.
        atlases: of each prediction, for spans; its mistakes can be filtered.
        leaked: ids of documents that stand in train.
        statuses: names for `ShownDocument.status`.
    """
    shown = documents
    if len(documents) > MOST_DOCUMENTS:
        shown = sorted(documents, key=lambda one: all(one.exact))[:MOST_DOCUMENTS]
    numbers = {name: number for number, name in enumerate(dict.fromkeys([*names, *_list_names(shown)]))}
    mistakes = [_group_mistakes(atlas) for atlas in atlases] or [{} for _ in answers]
    kind = _KINDS[type(shown[0].example.gold)] if shown else "extraction"
    rows = []
    for document in shown:
        id_ = document.example.id
        own = [found.get(id_, ()) for found in mistakes]
        rows.append(_write_document(document, numbers, own, id_ in leaked))
    return {
        "kind": kind,
        "names": list(numbers),
        "classes": list(_CLASSES),
        "seen": list(SEEN),
        "answers": list(answers),
        "statuses": list(statuses),
        "total": len(documents),
        "documents": rows,
    }


def _write_document(
    document: ShownDocument, numbers: Mapping[str, int], mistakes: Sequence[Sequence[Mistake]], is_leaked: bool
) -> dict[str, Any]:
    example = document.example
    row: dict[str, Any] = {"i": example.id, "x": example.text, "g": _write_annotation(example.gold, numbers)}
    if example.source is not None and str(example.source) != example.id:
        row["s"] = hide_folders(str(example.source))
    if example.history:
        row["h"] = [list(turn) for turn in example.history]
    if is_leaked:
        row["k"] = 1
    if document.status is not None:
        row["z"] = document.status
    row["a"] = [
        _write_answer(example, prediction, numbers, found, is_exact)
        for prediction, found, is_exact in zip(document.predictions, mistakes, document.exact, strict=True)
    ]
    return row


def _write_answer(
    example: Example, prediction: Prediction, numbers: Mapping[str, int], mistakes: Sequence[Mistake], is_exact: bool
) -> dict[str, Any]:
    row = _write_annotation(prediction.annotation, numbers)
    if isinstance(example.gold, Extraction):
        found = [_write_mistake(mistake, numbers) for mistake in mistakes]
    else:
        found = list(_compare(example.gold, prediction.annotation, numbers))
    if is_exact:
        row["e"] = 1
    if found:
        row["m"] = found
    if prediction.problems:
        row["n"] = [[str(problem.kind), problem.detail] for problem in prediction.problems]
    if prediction.completion:
        row["c"] = prediction.completion
    return row


def _write_annotation(annotation: Annotation | None, numbers: Mapping[str, int]) -> dict[str, Any]:
    if isinstance(annotation, Extraction):
        row: dict[str, Any] = {"p": [_write_span(span, numbers) for span in annotation.spans]}
        ungrounded = [[numbers[mention.type], mention.text] for mention in annotation.ungrounded]
        return row | ({"u": ungrounded} if ungrounded else {})
    if isinstance(annotation, Fields):
        values = annotation.values.items()
        return {"f": {name: value if isinstance(value, str) else list(value) for name, value in values if value}}
    if isinstance(annotation, Labels):
        return {"l": [numbers[name] for name in annotation.names]}
    return {"t": annotation.text if annotation else ""}


def _write_span(span: Any, numbers: Mapping[str, int]) -> list[float]:
    place = [span.start, span.end, numbers[span.type]]
    return place if span.confidence is None else [*place, round(span.confidence, 4)]


def _write_mistake(mistake: Mistake, numbers: Mapping[str, int]) -> list[Any]:
    """Class, name in gold, predicted name, group of `seen`, text in gold, predicted text; null where there is none.

    A pair is two mistakes, and both have the same names and texts; the last value says which of them is the gold one.
    """
    own = (None, None) if mistake.mention is None else (numbers[mistake.mention.type], mistake.mention.text)
    other = (None, None) if mistake.partner is None else (numbers[mistake.partner.type], mistake.partner.text)
    gold, predicted = (own, other) if mistake.side == "fn" else (other, own)
    seen = None if mistake.seen is None else SEEN.index(mistake.seen)
    is_gold = int(mistake.side == "fn")
    return [_CLASSES.index(mistake.kind), gold[0], predicted[0], seen, gold[1], predicted[1], is_gold]


def _compare(gold: Annotation | None, predicted: Annotation, numbers: Mapping[str, int]) -> Iterable[list[Any]]:
    """The mistakes of a record, of labels or of an answer, in the shape of `_write_mistake`."""
    if isinstance(gold, Fields) and isinstance(predicted, Fields):
        for name in dict.fromkeys([*gold.values, *predicted.values]):
            yield from _compare_field(numbers[name], gold.values.get(name, ""), predicted.values.get(name, ""))
    elif isinstance(gold, Labels) and isinstance(predicted, Labels):
        yield from _compare_labels(gold.names, predicted.names, numbers)
    elif isinstance(gold, Answer) and isinstance(predicted, Answer) and gold.text.strip() != predicted.text.strip():
        yield _mistake(DIFFERENT, None, None)


def _compare_field(name: int, gold: str | tuple[str, ...], predicted: str | tuple[str, ...]) -> Iterable[list[Any]]:
    if isinstance(gold, str) and isinstance(predicted, str) and gold and predicted:
        if gold != predicted:
            yield _mistake(DIFFERENT, name, name)
        return
    wanted, found = (Counter([value] if isinstance(value, str) else value) for value in (gold, predicted))
    for values, kind in ((wanted - found, ErrorClass.MISSING), (found - wanted, ErrorClass.SPURIOUS)):
        for _ in filter(None, values.elements()):
            yield _mistake(kind, *((name, None) if kind is ErrorClass.MISSING else (None, name)))


def _compare_labels(gold: Sequence[str], predicted: Sequence[str], numbers: Mapping[str, int]) -> Iterable[list[Any]]:
    missing = [numbers[name] for name in gold if name not in predicted]
    wrong = [numbers[name] for name in predicted if name not in gold]
    if len(gold) == 1 and missing:
        yield _mistake(WRONG_LABEL if wrong else NO_LABEL, missing[0], wrong[0] if wrong else None)
        return
    for name in missing:
        yield _mistake(ErrorClass.MISSING, name, None)
    for name in wrong:
        yield _mistake(ErrorClass.SPURIOUS, None, name)


def _mistake(kind: str, gold: int | None, predicted: int | None) -> list[Any]:
    return [_CLASSES.index(kind), gold, predicted, None, None, None, int(gold is not None)]


def _group_mistakes(atlas: ErrorAtlas | None) -> dict[str, list[Mistake]]:
    found: dict[str, list[Mistake]] = {}
    for mistake in atlas.mistakes if atlas else ():
        found.setdefault(mistake.document, []).append(mistake)
    return found


def _list_names(documents: Iterable[ShownDocument]) -> list[str]:
    """The names that occur, sorted."""
    names: set[str] = set()
    for document in documents:
        for annotation in (document.example.gold, *(one.annotation for one in document.predictions)):
            if isinstance(annotation, Extraction):
                names |= {span.type for span in annotation.spans} | {mention.type for mention in annotation.ungrounded}
            elif isinstance(annotation, Fields):
                names |= set(annotation.values)
            elif isinstance(annotation, Labels):
                names |= set(annotation.names)
    return sorted(names)
