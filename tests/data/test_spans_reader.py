"""JSONL with offsets: what is read, and the error of each kind of wrong row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.readers import ReadResult, read_examples
from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask
from extune.errors import DataError

TASK = ExtractionTask.model_validate({"types": {"中药": "", "方剂": ""}})
GOOD = {"text": "黄芪补气", "entities": [{"start": 0, "end": 2, "type": "中药"}]}


def entity(start: Any = 0, end: Any = 2, type: Any = "中药", **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "type": type, **more}


def read(folder: Path, content: str, name: str = "rows.jsonl", **settings: Any) -> ReadResult:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return read_examples(path, **settings)


def dump(*rows: Any) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize(
    "content", [dump(GOOD), dump(GOOD) + "\n", dump("", GOOD, " ", ""), dump(GOOD) + "\r\n", "\ufeff" + dump(GOOD)]
)
def test_rows_become_examples(tmp_path: Path, content: str) -> None:
    (example,) = read(tmp_path, content, task=TASK)
    assert (example.text, example.gold, example.id) == ("黄芪补气", Extraction((Span("中药", "黄芪", 0, 2),)), "rows-1")


def test_nested_overlapping_and_doubly_typed_entities_are_fine(tmp_path: Path) -> None:
    entities = [entity(0, 4), entity(1, 2), entity(1, 3, "方剂"), entity(1, 3), entity(2, 4)]
    (example,) = read(tmp_path, dump({"text": "黄芪补气", "entities": entities}), task=TASK)
    assert {span.key for span in example.gold.spans} == {(e["start"], e["end"], e["type"]) for e in entities}


def test_a_line_separator_inside_a_text_ends_no_row(tmp_path: Path) -> None:
    text = "甲\u2028乙\u2029丙\u0085丁\x0c"
    assert [example.text for example in read(tmp_path, dump({"text": text, "entities": []}, GOOD))] == [text, "黄芪补气"]


def test_ids_are_kept_or_counted(tmp_path: Path) -> None:
    result = read(tmp_path, dump({**GOOD, "id": "a"}, GOOD, {**GOOD, "id": 7}))
    assert [example.id for example in result] == ["a", "rows-2", "7"]
    assert [example.source.line for example in result] == [1, 2, 3]


def test_unknown_keys_are_counted_in_the_notes(tmp_path: Path) -> None:
    row = {**GOOD, "split": "x", "entities": [entity(score=1), entity(2, 4, score=2)]}
    assert read(tmp_path, dump(row, {**GOOD, "split": "y"})).notes == (
        "key 'entities.score' ignored, 2 times",
        "key 'split' ignored, 2 times",
    )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"text": "黄芪",}', "not JSON at column 15"),
        ("[1]", "is a JSON list"),
        ("黄 O", "not JSON at column 1"),
        ({"text": "黄芪"}, "key 'entities' is missing"),
        ({"entities": []}, "key 'text' is missing"),
        ({"text": 3, "entities": []}, '"text" is of type int'),
        ({"text": "黄芪", "entities": {}}, '"entities" is of type dict'),
        ({"text": "黄芪", "entities": None}, '"entities" is of type NoneType'),
        ({"text": "黄芪", "entities": ["黄"]}, "entity 1 is of type str"),
        ({"text": "黄芪", "entities": [{"start": 0, "end": 1}]}, "type 'None'"),
        ({"text": "黄芪", "entities": [entity(True, 2)]}, "start 'True'"),
        ({"text": "黄芪", "entities": [entity(0.0, 2)]}, "start '0.0'"),
        ({"text": "黄芪", "entities": [entity(0, "2")]}, "end '2'"),
        ({"text": "黄芪", "entities": [entity(type="")]}, "type ''"),
        ({"text": "黄芪", "entities": [entity(1, 1)]}, "span [1, 1) of type '中药' does not lie in the text of 2"),
        ({"text": "黄芪", "entities": [entity(-1, 1)]}, "span [-1, 1)"),
        ({"text": "黄芪", "entities": [entity(0, 3)]}, "span [0, 3)"),
        ({"text": "补黄芪", "entities": [entity(0, 2, text="黄芪")]}, "reads '补黄', the entity says '黄芪'"),
        (
            {"text": "黄芪", "entities": [entity(), entity(0, 1), entity(text="黄芪")]},
            "span [0, 2) of type '中药' stands twice",
        ),
        ({"text": "黄芪", "entities": [entity(type="中要")]}, "unknown type '中要', did you mean '中药'?"),
        ({"text": "黄芪", "entities": [entity([0, 1], [1, 2])]}, "entity 1 is discontinuous"),
        ({"text": "黄芪", "entities": [{"type": "中药", "ranges": [[0, 1]]}]}, "'ranges' is a list"),
        ({**GOOD, "id": "a"}, "id 'a' also stands in line 1"),
        ({**GOOD, "id": True}, "\"id\" is 'True'"),
        ({**GOOD, "id": ""}, "\"id\" is ''"),
        ({**GOOD, "id": None}, "\"id\" is 'None'"),
        ('{"text": "\\ud83d黄", "entities": []}', "character 0 of the text is half of a surrogate pair"),
    ],
)
def test_a_wrong_row_stops_with_its_line_or_is_skipped(tmp_path: Path, row: Any, says: str) -> None:
    content = dump({**GOOD, "id": "a"}, row, {**GOOD, "id": "c"})
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, task=TASK)
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}:2"
    assert says in caught.value.what
    assert caught.value.expected
    assert caught.value.fix
    result = read(tmp_path, content, task=TASK, on_bad_row="skip")
    assert [example.id for example in result] == ["a", "c"]
    assert [(skipped.line, says in skipped.reason) for skipped in result.skipped] == [(2, True)]


def test_a_wrong_offset_is_told_where_the_text_stands(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, dump({"text": "补气用黄芪", "entities": [entity(0, 2, text="黄芪")]}))
    assert "the text has it at [3, 5)" in caught.value.fix


def test_discontinuous_entities_are_counted(tmp_path: Path) -> None:
    wrong = {"text": "黄芪", "entities": [entity([0, 1], [1, 2])]}
    assert read(tmp_path, dump(GOOD, wrong, wrong), on_bad_row="skip").notes == ("2 row(s) hold a discontinuous entity",)


def test_an_array_is_an_error_for_this_reader_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is one JSON array") as caught:
        read(tmp_path, json.dumps([GOOD], indent=1), name="rows.json", reader="spans")
    assert caught.value.fix == "jq -c '.[]' rows.json > rows.jsonl"


def test_messages_do_not_carry_whole_texts(tmp_path: Path) -> None:
    long = "病人主诉" * 200
    with pytest.raises(DataError) as caught:
        read(tmp_path, dump({"text": long, "entities": [entity(0, 700, long[:700], text=long[1:701])]}))
    assert len(caught.value.render()) < 500


@pytest.mark.parametrize(
    ("name", "content"), [("rows.txt", dump(GOOD)), ("rows.JSON", dump(GOOD)), ("rows", "\n" + dump(GOOD))]
)
def test_the_reader_is_chosen_by_name_and_content(tmp_path: Path, name: str, content: str) -> None:
    assert read(tmp_path, content, name=name).examples[0].text == "黄芪补气"


def test_brackets_and_digits_as_tokens_are_columns(tmp_path: Path) -> None:
    assert [example.text for example in read(tmp_path, "{ O\n} O\n\n7\tO\n", name="rows.txt")] == ["{}", "7"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path, content)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
    rows = []
    for text in texts:
        span = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)), st.sampled_from("XY"))
        spans = data.draw(st.sets(span.filter(lambda key: key[0] < key[1]), max_size=4))
        rows.append((text, spans))
    content = dump(*({"text": text, "entities": [entity(*key) for key in spans]} for text, spans in rows))
    result = read(tmp_path_factory.mktemp("any"), content)
    assert [(example.text, {span.key for span in example.gold.spans}) for example in result] == rows
