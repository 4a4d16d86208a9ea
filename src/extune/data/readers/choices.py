"""Labels and candidates of classification rows, and free answers.

In: the values of the columns and the task. Out: labels that the task and the row allow, or an answer. It knows nothing about
files.
"""

from __future__ import annotations

import difflib
import json
import re

from extune.data.readers.base import RowError, quote, require_text
from extune.data.readers.columns import RowShape
from extune.data.readers.loose_json import looks_like_json, parse_loose_json
from extune.data.readers.tally import Place
from extune.domain.annotation import Answer, Labels
from extune.domain.example import Source
from extune.domain.task import ClassificationTask

_OF_TASK = "task.label_names"
_SEPARATORS = re.compile("[；;、，,|\t\n]")


def read_labels(
    task: ClassificationTask, value: object, candidates: tuple[str, ...] | None, shape: RowShape, place: Place
) -> Labels:
    """The gold labels of a row, or a RowError.

    Args:
        task: one label, or with `multi_label` any number.
        value: of the answer column: a string, a number, or a list of such.
        candidates: the row's own; None where all labels of the task are allowed.
        shape: its `nothing` mean no label where there may be several.
        place: of the row.
    """
    allowed = candidates if candidates is not None else tuple(task.label_names)
    if not allowed:
        raise RowError(
            "the row has no candidates, and task.label_names is empty",
            source=place.source,
            expected="label names to choose from",
            fix="add a column with the candidates, or task.label_names",
        )
    if task.multi_label and isinstance(value, str) and value.strip() in ("", *shape.nothing) and value.strip() not in allowed:
        return Labels(())
    names = _read_names(value, allowed if task.multi_label else None, place.source)
    if not task.multi_label and len(names) != 1:
        raise RowError(
            f"has {len(names)} labels",
            source=place.source,
            expected="one label; task.multi_label is false",
            fix="correct the row, or task.multi_label=true",
        )
    for name in names:
        _require_label(name, allowed, _OF_TASK if candidates is None else "the row's candidates", place.source)
    return Labels(tuple(dict.fromkeys(names)))


def read_candidates(task: ClassificationTask, value: object, source: Source) -> tuple[str, ...] | None:
    """The labels that are allowed for a row, a list or a string with separators; None where the row has none."""
    if value is None or value in ("", []):
        return None
    names = _read_names(value, tuple(task.label_names), source)
    if len(names) < 2:
        raise RowError(
            f"there is nothing to choose from: the candidates are only {quote(names[0]) if names else 'blanks'}",
            source=source,
            expected="at least two candidates, or none, which allows all of task.label_names",
            fix="correct the candidates",
        )
    if len(set(names)) != len(names):
        raise RowError("a candidate stands twice", source=source, expected="every candidate once", fix="remove one of the two")
    for name in names if task.label_names else ():
        _require_label(name, tuple(task.label_names), _OF_TASK, source)
    return names


def read_answer(value: object, place: Place) -> Answer:
    """A free answer, or a RowError; an object or a list is written as JSON."""
    if isinstance(value, dict | list) and value:
        place.tally.add("an object or list is the answer, written as JSON", place.source)
        return Answer(json.dumps(value, ensure_ascii=False))
    if not isinstance(value, str) or not value.strip():
        what = "is empty" if isinstance(value, str) or not value else f"is of type {type(value).__name__}"
        raise RowError(
            f"the answer {what}",
            source=place.source,
            expected="an answer to learn",
            fix="correct the row, or data.on_bad_row=skip leaves such rows out and counts them",
        )
    return Answer(require_text(value, place.source))


def _read_names(value: object, known: tuple[str, ...] | None, source: Source) -> tuple[str, ...]:
    """Label names of a value; a string is split unless it is a name itself or `known` is None."""
    if isinstance(value, str) and looks_like_json(value):
        found = parse_loose_json(value)
        value = found.value if found is not None else value
    if isinstance(value, str) and known is not None and value.strip() not in known:
        value = [piece for piece in _SEPARATORS.split(value) if piece.strip()]
    names = value if isinstance(value, list) else [value]
    if any(isinstance(name, bool) or not isinstance(name, str | int) for name in names):
        raise RowError(
            f"labels are of type {type(value).__name__}",
            source=source,
            expected="a name, a list of names, or names apart by ；;、，,| in a string",
            fix="correct the row",
        )
    return tuple(str(name).strip() for name in names)


def _require_label(name: str, allowed: tuple[str, ...], what: str, source: Source) -> None:
    if name in allowed:
        return
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    raise RowError(
        f"label {quote(name)} is not in {what}" + (f", did you mean {close[0]!r}?" if close else ""),
        source=source,
        expected="one of " + ", ".join(allowed),
        fix=f"correct the label, or add it to {what}",
        code="unknown-name" if what == _OF_TASK else "bad-row",
        subject=name,
    )
