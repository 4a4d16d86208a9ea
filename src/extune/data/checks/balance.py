"""How often each name is annotated. In: examples of one split. Out: counts, and what is rare, missing or lopsided.

The bounds are conventions: below 10 annotations a name's own F1 moves by ten points with a single mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from extune.data.checks.report import SplitFacts
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.task import ClassificationTask, ExtractionTask, RecordTask, Task

RARE_BELOW = 10
LOPSIDED_FROM = 50
MOSTLY_EMPTY_ABOVE = 2 / 3


def list_names(task: Task) -> tuple[str, ...]:
    """What annotations are counted by: span types, label names, fields; nothing for free answers."""
    if isinstance(task, ExtractionTask):
        return task.names
    if isinstance(task, ClassificationTask):
        return tuple(task.label_names)
    return tuple(task.fields) if isinstance(task, RecordTask) else ()


def count_names(gold: Annotation | None) -> Counter[str]:
    """Annotations of one example by name; empty fields do not count."""
    if isinstance(gold, Extraction):
        return Counter([*(span.type for span in gold.spans), *(mention.type for mention in gold.ungrounded)])
    if isinstance(gold, Labels):
        return Counter(gold.names)
    if isinstance(gold, Fields):
        return Counter(name for name, value in gold.values.items() if value)
    return Counter()


def is_empty(gold: Annotation | None) -> bool:
    """True where an annotation says that there is nothing."""
    if isinstance(gold, Answer):
        return not gold.text.strip()
    return gold is not None and not count_names(gold)


def check_balance(train: SplitFacts, task: Task) -> Iterator[tuple[str, str]]:
    """Codes and details about a training split; every name of the task stands in its counts."""
    seen = {name: count for name, count in train.counts.items() if count}
    yield from (("unseen-name", name) for name in train.counts if name not in seen)
    yield from (("rare-name", f"{name}: {count}") for name, count in seen.items() if count < RARE_BELOW)
    if seen and not isinstance(task, RecordTask):
        most, least = max(seen, key=seen.__getitem__), min(seen, key=seen.__getitem__)
        if seen[most] >= LOPSIDED_FROM * seen[least]:
            yield "imbalance", f"{most}: {seen[most]}, {least}: {seen[least]}"
    if train.empty > MOSTLY_EMPTY_ABOVE * train.examples:
        yield "mostly-empty", f"{train.empty} of {train.examples}"
