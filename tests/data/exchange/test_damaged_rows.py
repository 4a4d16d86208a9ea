"""A row in which anything at all is something else is read or is a wrong row with its line; it never ends in a traceback."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.readers.base import RowError
from extune.data.readers.exchange import FOREIGN, recognise
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, Task

TEXT = "😀黄芪"
ROWS: dict[str, list[Any]] = {
    "label-studio": [
        {
            "id": 1,
            "data": {"text": TEXT},
            "meta": {"extune_id": "a"},
            "annotations": [
                {
                    "was_cancelled": False,
                    "result": [
                        {"type": "labels", "value": {"start": 1, "end": 3, "text": "黄芪", "labels": ["药"]}},
                        {"type": "choices", "value": {"choices": ["轻"]}},
                    ],
                }
            ],
            "predictions": [{"result": []}],
        }
    ],
    "prodigy": [
        {
            "text": TEXT,
            "_input_hash": 1,
            "tokens": [{"start": 1, "end": 2}, {"start": 2, "end": 3}],
            "spans": [{"start": 1, "end": 3, "label": "药", "token_start": 0, "token_end": 1}],
            "answer": "accept",
        },
        {"text": TEXT, "options": [{"id": "轻"}], "accept": ["轻"], "label": "轻", "relations": [{}], "answer": "accept"},
    ],
    "doccano": [
        {"id": 1, "text": TEXT, "label": [[1, 3, "药"]]},
        {"text": TEXT, "entities": [{"start_offset": 1, "end_offset": 3, "label": "药"}], "relations": [], "Comments": []},
    ],
    "cluener": [{"text": TEXT, "label": {"药": {"黄芪": [[1, 2]]}}}],
    "cmeee": [{"text": TEXT, "entities": [{"start_idx": 1, "end_idx": 2, "type": "药", "entity": "黄芪"}]}],
    "uie": [{"content": TEXT, "result_list": [{"text": "黄芪", "start": 1, "end": 3}], "prompt": "药"}],
}
TASKS: list[Task | None] = [None, ExtractionTask(types={"药": ""}), ClassificationTask(label_names=["轻", "重"])]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-2, 2) | st.text("药黄😀\ud83da \n", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["start", "text", "label", "药"]), inner),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every value inside a value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, member in members for place in places(member, (*path, key)))]


def replace(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = json.loads(json.dumps(value))
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = other
    return changed


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_row_is_a_traceback(name: str, data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(ROWS[name]))
    damaged = replace(row, data.draw(st.sampled_from(places(row))), data.draw(ANYTHING))
    task = data.draw(st.sampled_from([one for one in TASKS if one is None or one.kind in FOREIGN[name].kinds]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text(json.dumps(row) + "\n" + json.dumps(damaged) + "\n", encoding="utf-8")
        found, _, losses = FOREIGN[name].read(path, "utf-8", task)
        recognise(path, "utf-8")
    assert all(isinstance(one, Example) or (isinstance(one, RowError) and one.line in (1, 2)) for one in found)
    assert len(found) + losses.total >= 1


@settings(max_examples=100, deadline=None)
@given(content=st.text("T1R#*\t 0123;药黄芪\n-", max_size=30))
def test_no_line_of_brat_is_a_traceback(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_text(TEXT, encoding="utf-8")
        path.with_suffix(".ann").write_text(content, encoding="utf-8")
        (found,) = FOREIGN["brat"].read(path, "utf-8", None).rows
    assert isinstance(found, Example | RowError)
