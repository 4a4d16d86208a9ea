"""What reviewers get, for every kind of task that can be audited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, RecordField, RecordTask, Task
from extune.studies.review_files import ReviewTask, write_doccano, write_label_studio

TEXT = "🍵黄芪三日"
FINDING = {"rank": 1, "confidence": 0.9, "kind": "boundary", "gold": None, "predicted": {"label": "乙"}}
SPAN = {"start": 1, "end": 3, "type": "药<&>", "text": "黄芪"}
CASES: list[tuple[Task, dict[str, Any], list[tuple[str, str, dict[str, Any]]], list[Any]]] = [
    (
        ExtractionTask(types=["药<&>"]),
        {"entities": [SPAN]},
        [("label", "labels", {"start": 1, "end": 3, "text": "黄芪", "labels": ["药<&>"]})],
        [[1, 3, "药<&>"]],
    ),
    (ClassificationTask(label_names=["甲", "乙"]), {"labels": ["甲"]}, [("label", "choices", {"choices": ["甲"]})], ["甲"]),
    (
        RecordTask(fields={"药": RecordField(kind="verbatim"), "程": RecordField(kind="enum", of=("急", "慢"))}),
        {"fields": {"药": ["黄芪", "当归"], "程": "急"}},
        [("药", "textarea", {"text": ["黄芪", "当归"]}), ("程", "choices", {"choices": ["急"]})],
        ["药: 黄芪", "药: 当归", "程: 急"],
    ),
]


@pytest.mark.parametrize(("task", "row", "regions", "labels"), CASES)
def test_gold_and_prediction_stand_in_both_files(
    task: Task, row: dict[str, Any], regions: list[Any], labels: list[Any], tmp_path: Path
) -> None:
    key = next(iter(row))
    nothing = {key: type(row[key])()}
    review = ReviewTask(Example("1", TEXT), row, nothing, [FINDING], 0.9)
    tasks_file, interface = write_label_studio(tmp_path, task, [review], "notes audit")
    (written,) = json.loads(tasks_file.read_text(encoding="utf-8"))
    assert written["data"]["text"] == TEXT
    found = [(one["from_name"], one["type"], one["value"]) for one in written["annotations"][0]["result"]]
    assert found == regions
    assert written["predictions"] == [{"model_version": "notes audit", "score": 0.9, "result": []}]
    controls = {
        element.get("name"): element.tag.lower() for element in ElementTree.parse(interface).iter() if element.get("name")
    }
    assert controls["text"] == "text"
    assert all(controls[name] == kind for name, kind, _ in found)
    (line,) = write_doccano(tmp_path, [review]).read_text(encoding="utf-8").splitlines()
    assert (json.loads(line)["label"], json.loads(line)["predicted"]) == (labels, [])
    assert json.loads(line)["disagreements"] == ["boundary: – -> 乙"]


def test_labels_of_rows_become_the_interface_of_a_task_without_labels(tmp_path: Path) -> None:
    review = ReviewTask(Example("1", TEXT, candidates=("甲", "乙")), {"labels": ["甲"]}, {"labels": ["乙"]}, [FINDING], None)
    tasks_file, interface = write_label_studio(tmp_path, ClassificationTask(), [review], "v")
    assert [element.get("value") for element in ElementTree.parse(interface).iter("Choice")] == ["甲", "乙"]
    assert "score" not in json.loads(tasks_file.read_text(encoding="utf-8"))[0]["predictions"][0]
