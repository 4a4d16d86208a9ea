"""A prediction is parted into what the model is sure of and the rest: to be looked at, or to be left out.

In: a prediction and the least confidence of what is kept. Out: two predictions whose items together are those of the first, or
one annotation and a count. It knows nothing about where a threshold comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.prediction import Prediction


def split_prediction(prediction: Prediction, least: float) -> tuple[Prediction, Prediction]:
    """The prediction with the items of at least this confidence, and with all others.

    Items without confidence (free text of a record, mentions that the text lacks) are never sure. Problems and completion stand
    in both; the threshold is added to the decoding options of both.
    """
    sure, unsure = _split(prediction.annotation, lambda confidence: confidence is not None and confidence >= least)
    decoding = {**prediction.decoding, "min_confidence": least}
    return replace(prediction, annotation=sure, decoding=decoding), replace(prediction, annotation=unsure, decoding=decoding)


def leave_out(annotation: Annotation, least: float) -> tuple[Annotation, int]:
    """The annotation without the items of less confidence, and how many those are; items without confidence stay."""
    if isinstance(annotation, Answer):
        return annotation, 0
    kept, rest = _split(annotation, lambda confidence: confidence is None or confidence >= least)
    if isinstance(annotation, Extraction) and isinstance(kept, Extraction):  # mentions without place have no confidence
        return replace(kept, ungrounded=annotation.ungrounded), len(annotation.spans) - len(kept.spans)
    return kept, count_items(rest)


def map_confidences(annotation: Annotation, change: Callable[[float], float]) -> Annotation:
    """The annotation with other confidences; what has none keeps none."""

    def changed(confidences: Iterable[float | None]) -> tuple[float | None, ...]:
        return tuple(None if one is None else change(one) for one in confidences)

    if isinstance(annotation, Extraction):
        confidences = changed(span.confidence for span in annotation.spans)
        spans = (replace(span, confidence=one) for span, one in zip(annotation.spans, confidences, strict=True))
        return replace(annotation, spans=tuple(spans))
    if isinstance(annotation, Labels):
        return replace(annotation, confidences=changed(annotation.confidences))
    if isinstance(annotation, Fields):
        return replace(annotation, confidences={name: changed(some) for name, some in annotation.confidences.items()})
    return annotation


def needs_review(unsure: Prediction) -> bool:
    """Whether the second part of a prediction holds anything to look at: an item, or an answer that could not be read whole."""
    return bool(unsure.problems) or count_items(unsure.annotation) > 0


def count_items(annotation: Annotation) -> int:
    """Mentions (those without place included), values and pieces of lists, or labels; a free answer has none."""
    if isinstance(annotation, Extraction):
        return len(annotation.spans) + len(annotation.ungrounded)
    return 0 if isinstance(annotation, Answer) else sum(1 for _ in annotation.items())


def has_confidence(annotation: Annotation) -> bool:
    """Whether any item has a confidence."""
    if isinstance(annotation, Extraction):
        return any(span.confidence is not None for span in annotation.spans)
    return not isinstance(annotation, Answer) and any(item[-1] is not None for item in annotation.items())


def _split(annotation: Annotation, is_sure: Callable[[float | None], bool]) -> tuple[Annotation, Annotation]:
    if isinstance(annotation, Extraction):
        sure = tuple(span for span in annotation.spans if is_sure(span.confidence))
        rest = tuple(span for span in annotation.spans if not is_sure(span.confidence))
        return Extraction(sure), Extraction(rest, annotation.ungrounded)
    if isinstance(annotation, Labels):
        labels = list(annotation.items())
        return _labels(one for one in labels if is_sure(one[1])), _labels(one for one in labels if not is_sure(one[1]))
    if isinstance(annotation, Fields):
        items = list(annotation.items())
        lists = frozenset(name for name, value in annotation.values.items() if not isinstance(value, str))
        parts = [one for one in items if is_sure(one[2])], [one for one in items if not is_sure(one[2])]
        return _fields(parts[0], lists), _fields(parts[1], lists)
    raise TypeError("a free answer has no items")


def _labels(items: Iterable[tuple[str, float | None]]) -> Labels:
    names, confidences = [], []
    for name, confidence in items:
        names.append(name)
        confidences.append(confidence)
    return Labels(tuple(names), tuple(confidences))


def _fields(items: Iterable[tuple[str, str, float | None]], lists: frozenset[str]) -> Fields:
    values: dict[str, str | tuple[str, ...]] = {}
    confidences: dict[str, tuple[float | None, ...]] = {}
    for name, piece, confidence in items:
        values[name] = (*values.get(name, ()), piece) if name in lists else piece
        confidences[name] = (*confidences.get(name, ()), confidence)
    return Fields(values, confidences)
