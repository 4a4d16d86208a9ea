"""A completion becomes an annotation with problems, whatever the kind of the task.

In: a task, its answer format, a text and what the model wrote. Out: the annotation, and all that is wrong with the answer.
Nothing raises here and nothing is lost: what cannot be read is a problem. It knows no model and no score.
"""

from __future__ import annotations

from collections import Counter

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.prediction import Problem, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask, Task
from extune.prompts.alignment import ground
from extune.prompts.formats.base import AnyFormat, ItemScorer, Parsed, ParsedItem, make_problem

_NOTHING_THERE = make_problem(ProblemKind.UNPARSEABLE, "")


def read_completion(
    task: Task,
    answer_format: AnyFormat,
    text: str,
    completion: str,
    score: ItemScorer | None = None,
    *,
    cut_off: bool = False,
    closed_at: int | None = None,
) -> tuple[Annotation, tuple[Problem, ...]]:
    """What a completion says, and what is wrong with it.

    Args:
        task: of a classification with candidates, narrowed to those of the example.
        answer_format: one of the task's.
        text: that was asked about.
        completion: any string.
        score: gives mentions, field values and labels their confidences; free text and free answers have none.
        cut_off: the model had not ended; of anything but a free answer only the items that are certainly whole are kept.
        closed_at: characters that the model wrote before masks ended the answer; what they added, and an item that they may
            have torn, is left out; free text is kept as far as it came. None where the model ended by itself.
    """
    parsed = answer_format.parse_completion(task, text, completion)
    if cut_off and not isinstance(task, GenerationTask):
        parsed = _keep_whole(parsed, answer_format.parse_completion(task, text, completion[:-1]))
    if closed_at is not None:
        parsed = Parsed(tuple(item for item in parsed.items if _is_own(task, item, closed_at)), parsed.problems)
    if isinstance(task, ExtractionTask):
        return ground(text, parsed, score)
    if isinstance(task, RecordTask):
        return _assemble_fields(task, text, parsed, score or _unknown)
    if isinstance(task, ClassificationTask):
        names, confidences = tuple(item.type for item in parsed.items), tuple(map(score or _unknown, parsed.items))
        return Labels(names, confidences), parsed.problems
    return Answer("".join(item.text for item in parsed.items)), parsed.problems


def empty_annotation(task: Task) -> Annotation:
    """What is predicted where the model was not asked."""
    if isinstance(task, ExtractionTask):
        return Extraction()
    if isinstance(task, RecordTask):
        return Fields({})
    return Labels(()) if isinstance(task, ClassificationTask) else Answer("")


def _unknown(_: ParsedItem) -> None:
    """No confidence."""


def _keep_whole(parsed: Parsed, shorter: Parsed) -> Parsed:
    """Items and problems that are also read without the completion's last character: what comes next cannot change them.

    An item that reaches to the end may be the beginning of a longer one. A format that stores positions may prolong its last
    item even behind a separator. An end that has nothing in it yet is no problem of its own: the answer is cut off.
    """
    whole = [item for item in parsed.items if item in shorter.items]
    if whole and whole[-1] == parsed.items[-1] and whole[-1].source_start is not None:
        whole.pop()
    problems = list((Counter(parsed.problems) & Counter(shorter.problems)).elements())
    if problems and parsed.problems[-1] == _NOTHING_THERE == problems[-1]:
        problems.pop()
    return Parsed(tuple(whole), tuple(problems))


def _is_own(task: Task, item: ParsedItem, closed_at: int) -> bool:
    """Whether all of an item is the model's own; a format that stores positions may prolong it behind a separator."""
    if isinstance(task, RecordTask) and task.fields[item.type].kind == "text":
        return item.completion_end <= closed_at
    behind = (item.type_end or item.completion_end) + (item.source_start is not None)
    return behind < closed_at


def _assemble_fields(task: RecordTask, text: str, parsed: Parsed, score: ItemScorer) -> tuple[Fields, tuple[Problem, ...]]:
    """Pieces of verbatim fields are listed, distinct ones once, also those that the text lacks; of others the first counts."""
    values: dict[str, str | tuple[str, ...]] = {}
    confidences: dict[str, tuple[float | None, ...]] = {}
    problems = list(parsed.problems)
    for item in parsed.items:
        field = task.fields[item.type]
        if item.type in values and (field.kind != "verbatim" or (field.distinct and item.text in values[item.type])):
            problems.append(make_problem(ProblemKind.DUPLICATE, item.text))
        elif field.kind == "verbatim":
            values[item.type] = (*values.get(item.type, ()), item.text)
            confidences[item.type] = (*confidences.get(item.type, ()), score(item))
            if item.text not in text:
                problems.append(make_problem(ProblemKind.UNGROUNDED, item.text))
        else:
            values[item.type] = item.text
            confidences[item.type] = (score(item) if field.kind == "enum" else None,)
    return Fields(values, confidences), tuple(problems)
