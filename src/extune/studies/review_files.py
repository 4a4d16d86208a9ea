"""What people review after an audit: tasks for Label Studio and for doccano, one per example, the most doubtful first.

In: examples, predicted annotations and ranked findings. Out: files. Offsets are code points, as both tools count them. It knows
nothing about models and decides nothing about the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from extune.data.readers.own_rows import ANSWER_KEYS
from extune.data.writers import write_rows
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, RecordTask, Task
from extune.files import write_json, write_text

_TEXT = "text"
_CONTROL = "label"


@dataclass(frozen=True)
class ReviewTask:
    """One example for review.

    Attributes:
        gold: its annotation, as `write_annotation` writes it; `predicted` the model's.
        findings: the disagreements in it, most confident first, ready for JSON.
        confidence: of the first of them; None where it was not computed.
    """

    example: Example
    gold: Mapping[str, Any]
    predicted: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    confidence: float | None


def write_label_studio(folder: Path, task: Task, tasks: Sequence[ReviewTask], model_version: str) -> tuple[Path, Path]:
    """Tasks whose annotations are gold and whose predictions are the model's, and the labelling interface for them.

    Returns:
        The files of the tasks and of the interface.
    """
    rows = [
        {
            "data": {
                "id": one.example.id,
                _TEXT: one.example.text,
                "source": str(one.example.source or ""),
                "disagreements": list(one.findings),
            },
            "annotations": [{"result": _results(task, one.gold, "gold")}],
            "predictions": [
                {
                    "model_version": model_version,
                    **({} if one.confidence is None else {"score": one.confidence}),
                    "result": _results(task, one.predicted, "predicted"),
                }
            ],
        }
        for one in tasks
    ]
    tasks_file, interface = folder / "label-studio.json", folder / "label-studio.xml"
    write_json(tasks_file, rows)
    write_text(interface, _interface(task, tasks))
    return tasks_file, interface


def write_doccano(folder: Path, tasks: Sequence[ReviewTask]) -> Path:
    """Rows with gold under `label`; what the model says instead stands in columns of their own, which doccano keeps."""
    rows = [
        {
            "id": one.example.id,
            _TEXT: one.example.text,
            "label": _doccano_labels(one.gold),
            "predicted": _doccano_labels(one.predicted),
            "confidence": one.confidence,
            "disagreements": [_describe(finding) for finding in one.findings],
        }
        for one in tasks
    ]
    path = folder / "doccano.jsonl"
    write_rows(path, rows)
    return path


def describe_item(item: Mapping[str, Any] | None) -> str:
    """A span, label or piece of a field in few words."""
    if item is None:
        return "–"
    if "label" in item:
        return str(item["label"])
    if "field" in item:
        return f"{item['field']}: {item['value']}"
    return f"{item['type']} {item['text']} [{item['start']}, {item['end']})"


def _describe(finding: Mapping[str, Any]) -> str:
    return f"{finding['kind']}: {describe_item(finding['gold'])} -> {describe_item(finding['predicted'])}"


def _results(task: Task, annotation: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """An annotation as regions of Label Studio."""
    if ANSWER_KEYS["extraction"] in annotation:
        values = [
            (_CONTROL, "labels", {"start": one["start"], "end": one["end"], "text": one["text"], "labels": [one["type"]]})
            for one in annotation["entities"]
        ]
    elif ANSWER_KEYS["classification"] in annotation:
        values = [(_CONTROL, "choices", {"choices": list(annotation["labels"])})] if annotation["labels"] else []
    else:
        values = [_field_result(task, name, value) for name, value in annotation["fields"].items() if value]
    return [
        {"id": f"{prefix}-{number}", "from_name": control, "to_name": _TEXT, "type": kind, "value": value}
        for number, (control, kind, value) in enumerate(values)
    ]


def _field_result(task: Task, name: str, value: str | Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    if isinstance(task, RecordTask) and task.fields[name].kind == "enum":
        return name, "choices", {"choices": [value]}
    return name, "textarea", {"text": [value] if isinstance(value, str) else list(value)}


def _interface(task: Task, tasks: Sequence[ReviewTask]) -> str:
    """The labelling interface, in Label Studio's XML."""
    if isinstance(task, RecordTask):
        controls = []
        for name, field in task.fields.items():
            attributes = f"name={quoteattr(name)} toName={quoteattr(_TEXT)}"
            controls.append(f"  <Header value={quoteattr(name)}/>")
            if field.kind == "enum":
                controls += _list_values(f'<Choices {attributes} choice="single">', "Choice", field.of, "</Choices>")
            else:
                controls.append(f'  <TextArea {attributes} editable="true"/>')
    elif isinstance(task, ClassificationTask):
        # a task without labels of its own has them in its rows
        names = task.names or tuple(dict.fromkeys(name for one in tasks for name in one.example.candidates or ()))
        choice = "multiple" if task.multi_label else "single"
        controls = _list_values(
            f"<Choices name={quoteattr(_CONTROL)} toName={quoteattr(_TEXT)} choice={quoteattr(choice)}>",
            "Choice",
            names,
            "</Choices>",
        )
    else:
        opening = f"<Labels name={quoteattr(_CONTROL)} toName={quoteattr(_TEXT)}>"
        controls = _list_values(opening, "Label", task.names, "</Labels>")
    return "\n".join(["<View>", f'  <Text name="{_TEXT}" value="${_TEXT}"/>', *controls, "</View>", ""])


def _list_values(opening: str, tag: str, values: Sequence[str], closing: str) -> list[str]:
    return [f"  {opening}", *(f"    <{tag} value={quoteattr(value)}/>" for value in values), f"  {closing}"]


def _doccano_labels(annotation: Mapping[str, Any]) -> list[Any]:
    """`[start, end, type]` of spans, names of labels; doccano has no fields, so a record's are texts `name: value`."""
    if "entities" in annotation:
        return [[one["start"], one["end"], one["type"]] for one in annotation["entities"]]
    if "labels" in annotation:
        return list(annotation["labels"])
    fields: Mapping[str, str | Sequence[str]] = annotation["fields"]
    return [
        f"{name}: {piece}"
        for name, value in fields.items()
        for piece in ([value] if isinstance(value, str) else value)
        if piece
    ]
