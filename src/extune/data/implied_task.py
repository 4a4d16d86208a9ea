"""The task that labelled examples imply, for files that no recipe describes.

In: examples with gold. Out: a task that holds all of it. It knows nothing about the files.
"""

from __future__ import annotations

from collections.abc import Sequence

from extune.domain.annotation import Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task


def guess_task(examples: Sequence[Example]) -> Task:
    """A task of the kind of the first example; types, sorted, and fields are those that occur, and any label is allowed."""
    golds = [example.gold for example in examples]
    first = golds[0] if golds else None
    if isinstance(first, Fields):
        return _guess_record([gold for gold in golds if isinstance(gold, Fields)])
    if isinstance(first, Labels):
        return ClassificationTask(multi_label=any(len(gold.names) != 1 for gold in golds if isinstance(gold, Labels)))
    if isinstance(first, Answer):
        return GenerationTask()
    extractions = [gold for gold in golds if isinstance(gold, Extraction)]
    types = {span.type for gold in extractions for span in gold.spans}
    types |= {mention.type for gold in extractions for mention in gold.ungrounded}
    # A file without any entity has no types, which a recipe would have to name.
    return ExtractionTask.model_construct(types=dict.fromkeys(sorted(types), ""))


def _guess_record(golds: Sequence[Fields]) -> RecordTask:
    """Lists are verbatim fields, strings free texts."""
    kinds = {name: isinstance(value, str) for gold in golds for name, value in gold.values.items()}
    fields = {name: RecordField(kind="text" if is_text else "verbatim") for name, is_text in kinds.items()}
    return RecordTask.model_construct(fields=fields)
