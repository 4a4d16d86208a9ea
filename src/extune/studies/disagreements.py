"""Where an annotation and a prediction of the same example differ, one difference at a time.

In: a task, an example with gold, its prediction. Out: disagreements, each with the annotation that gold would become if the
model were right in this one point. It knows nothing about models and files.

* A span of gold and a predicted span that overlap are one disagreement (`boundary`, `type`, `boundary+type`, paired as in the
  error atlas); a predicted one alone is `unlabelled`, a gold one alone `unpredicted`.
* A label of a single-label task is one (`label`); of several labels each one is `unlabelled` or `unpredicted`.
* So is each piece of a verbatim field; an enum field is one (`value`). Free-text fields have no single right wording and are
  left out.
* Gold that an answer lacks because the answer was cut off, unreadable or never asked for is no disagreement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Annotation, Extraction, Fields, Labels, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, RecordTask, Task
from extune.errors import RecipeError
from extune.evaluation.error_atlas import AtlasDocument, ErrorClass, build_atlas

UNLABELLED, UNPREDICTED = "unlabelled", "unpredicted"
_UNREAD = frozenset({ErrorClass.CUT_OFF, ErrorClass.UNPARSEABLE})
UNANSWERED = frozenset({ProblemKind.TOO_LONG, ProblemKind.CUT_OFF, ProblemKind.CLOSED_EARLY, ProblemKind.UNPARSEABLE})
"""What is wrong with an answer from which it does not follow that the model would have left something out."""


Item = dict[str, Any]
"""A span (`start`, `end`, `type`, `text`), a label (`label`) or a piece of a field (`field`, `value`), ready for JSON."""


@dataclass(frozen=True)
class Disagreement:
    """One difference. `gold` or `predicted` is None where that side has nothing; `corrected` is gold as the model has it."""

    kind: str
    gold: Item | None
    predicted: Item | None
    corrected: Annotation


def require_comparable(task: Task) -> None:
    """Raise a RecipeError where annotations of this task cannot be compared item by item."""
    if isinstance(task, RecordTask) and any(field.kind != "text" for field in task.fields.values()):
        return
    if isinstance(task, ExtractionTask | ClassificationTask):
        return
    reason = "all fields are free text" if isinstance(task, RecordTask) else "answers are free text"
    raise RecipeError(
        f"extune audit holds labels against predictions, and {reason}: a different wording is no label error",
        where=f"task.kind: {task.kind}",
        expected="extraction, classification, or a record with verbatim or enum fields",
        fix="read the worst answers of extune evaluate instead",
    )


def find_disagreements(task: Task, example: Example, prediction: Prediction) -> list[Disagreement]:
    """All differences between the example's gold and its prediction, in the order of the text or of the task."""
    gold, predicted = example.gold, prediction.annotation
    if isinstance(gold, Extraction) and isinstance(predicted, Extraction):
        document = AtlasDocument(example.id, len(example.text), gold, predicted, prediction.problems)
        return list(_compare_spans(document, task.names))
    unanswered = any(problem.kind in UNANSWERED for problem in prediction.problems)
    if isinstance(gold, Labels) and isinstance(predicted, Labels):
        several = isinstance(task, ClassificationTask) and task.multi_label
        return list(_compare_labels(gold, predicted, several, unanswered))
    if isinstance(gold, Fields) and isinstance(predicted, Fields) and isinstance(task, RecordTask):
        return list(_compare_fields(task, gold, predicted, unanswered))
    raise TypeError(f"{type(gold).__name__} and {type(predicted).__name__} cannot be compared")


def count_items(task: Task, annotation: Annotation | None) -> int:
    """Number of labels that an audit looks at."""
    if isinstance(annotation, Extraction):
        return len(annotation.spans)
    if isinstance(annotation, Labels):
        return len(annotation.names)
    if isinstance(annotation, Fields) and isinstance(task, RecordTask):
        kept = (value for name, value in annotation.values.items() if task.fields[name].kind != "text")
        return sum(bool(value) if isinstance(value, str) else len(value) for value in kept)
    return 0


def _compare_spans(document: AtlasDocument, types: Sequence[str]) -> Iterator[Disagreement]:
    gold = document.gold
    found: list[tuple[int, Disagreement]] = []
    for mistake in build_atlas([document], types).mistakes:
        if mistake.mention is None or mistake.start is None or mistake.kind in _UNREAD:
            continue
        text = mistake.mention.text
        span = Span(mistake.mention.type, text, mistake.start, mistake.start + len(text))
        if mistake.side == "fn":
            other = mistake.partner
            kind = UNPREDICTED if other is None else str(mistake.kind)
            corrected = _replace(gold, span, other)
            found.append((span.start, Disagreement(kind, _span(span), None if other is None else _span(other), corrected)))
        elif mistake.partner is None:
            found.append((span.start, Disagreement(UNLABELLED, None, _span(span), _replace(gold, None, span))))
    yield from (one for _, one in sorted(found, key=lambda pair: pair[0]))


def _replace(gold: Extraction, old: Span | None, new: Span | None) -> Extraction:
    spans = [span for span in gold.spans if span != old]
    return Extraction((*spans, *([] if new is None else [new])), gold.ungrounded)


def _span(span: Span) -> Item:
    return {"start": span.start, "end": span.end, "type": span.type, "text": span.text}


def _compare_labels(gold: Labels, predicted: Labels, several: bool, unanswered: bool) -> Iterator[Disagreement]:
    if not several:
        if predicted.names and set(predicted.names) != set(gold.names):
            yield Disagreement("label", _label(gold.names[0]), _label(predicted.names[0]), Labels(predicted.names[:1]))
        return
    for name in gold.names:
        if name not in predicted.names and not unanswered:
            yield Disagreement(UNPREDICTED, _label(name), None, Labels(tuple(one for one in gold.names if one != name)))
    for name in predicted.names:
        if name not in gold.names:
            yield Disagreement(UNLABELLED, None, _label(name), Labels((*gold.names, name)))


def _label(name: str) -> Item:
    return {"label": name}


def _compare_fields(task: RecordTask, gold: Fields, predicted: Fields, unanswered: bool) -> Iterator[Disagreement]:
    for name, field in task.fields.items():
        old, new = gold.values.get(name) or "", predicted.values.get(name) or ""
        if field.kind == "enum" and old != new and (new or not unanswered):
            kind = "value" if old and new else UNPREDICTED if old else UNLABELLED
            yield Disagreement(kind, _piece(name, old), _piece(name, new), _set(gold, name, new))
        elif field.kind == "verbatim":
            yield from _compare_pieces(name, gold, tuple(old), tuple(new), unanswered)


def _compare_pieces(
    name: str, gold: Fields, old: tuple[str, ...], new: tuple[str, ...], unanswered: bool
) -> Iterator[Disagreement]:
    """Pieces that only one side has, as often as it has them more."""
    for piece in () if unanswered else (Counter(old) - Counter(new)).elements():
        kept = list(old)
        kept.remove(piece)
        yield Disagreement(UNPREDICTED, _piece(name, piece), None, _set(gold, name, tuple(kept)))
    for piece in (Counter(new) - Counter(old)).elements():
        yield Disagreement(UNLABELLED, None, _piece(name, piece), _set(gold, name, (*old, piece)))


def _set(gold: Fields, name: str, value: str | tuple[str, ...]) -> Fields:
    return Fields({**gold.values, name: value})


def _piece(name: str, value: str | tuple[str, ...]) -> Item | None:
    return {"field": name, "value": value} if value else None
