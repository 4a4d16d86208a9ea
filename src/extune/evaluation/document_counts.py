"""What each document adds to the headline of its kind of task, so that two systems can be compared document by document.

In: examples with gold, their predictions, what the report says about fields and labels. Out: counts, for all kinds in one
shape: the F1 of summed `total`s is strict F1 of spans, micro F1 of records, accuracy (micro F1 of several labels), and
ROUGE-L, since an answer of ROUGE-L r counts as r right, 1 - r wrong and 1 - r missed. It knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction, Problem
from extune.domain.task import RecordField
from extune.evaluation.classification_metrics import count_labels
from extune.evaluation.metrics import PRF, count_documents
from extune.evaluation.record_metrics import compare_record
from extune.evaluation.score import require_same_ids
from extune.evaluation.text_overlap import rouge_l


@dataclass(frozen=True)
class DocumentCount:
    """One document.

    Attributes:
        total: right, wrong and missed items.
        groups: the same by type, field or label, of those that occur; answers have none.
        is_exact: nothing is wrong and nothing missing.
    """

    total: PRF
    groups: Mapping[str, PRF]
    is_exact: bool


def count_each(score: Mapping[str, Any], examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[DocumentCount]:
    """Count every document, in the order of the examples.

    Args:
        score: as in `report.json`: the kinds of a record's fields, and whether examples have several labels.
        examples: with gold, all of one kind.
        predictions: one of each example.

    Raises:
        DataError: ids do not belong together.
        TypeError: gold and prediction are of different kinds.
    """
    found = {one.example_id: one for one in predictions}
    require_same_ids({example.id: example for example in examples}, found, {})
    return [_count(score, example.gold, found[example.id].annotation, found[example.id].problems) for example in examples]


def _count(
    score: Mapping[str, Any], gold: Annotation | None, predicted: Annotation, problems: Sequence[Problem]
) -> DocumentCount:
    if isinstance(gold, Extraction) and isinstance(predicted, Extraction):
        (counts,) = count_documents({"": gold}, {"": predicted}, {"": problems})
        return DocumentCount(counts.strict, counts.per_type, counts.is_exact)
    if isinstance(gold, Fields) and isinstance(predicted, Fields):
        fields = {name: RecordField(kind=field["kind"]) for name, field in score["fields"].items()}
        record = compare_record(gold.values, predicted.values, fields, problems)
        leaves = {name: one.leaves for name, one in record.fields.items() if not one.leaves.is_empty}
        return DocumentCount(record.total, leaves, record.is_exact)
    if isinstance(gold, Labels) and isinstance(predicted, Labels):
        expected, chosen = set(gold.names), set(predicted.names)
        total = PRF(*count_labels(expected, chosen, problems, bool(score["multi_label"])))
        groups = {name: _count_label(name in expected, name in chosen) for name in sorted(expected | chosen)}
        return DocumentCount(total, groups, total.fp == total.fn == 0)
    if isinstance(gold, Answer) and isinstance(predicted, Answer):
        overlap = rouge_l(gold.text, predicted.text)
        return DocumentCount(PRF(overlap, 1 - overlap, 1 - overlap), {}, gold.text.strip() == predicted.text.strip())
    raise TypeError(f"{type(gold).__name__} cannot be compared with {type(predicted).__name__}")


def _count_label(is_gold: bool, is_predicted: bool) -> PRF:
    return PRF(is_gold and is_predicted, is_predicted and not is_gold, is_gold and not is_predicted)
