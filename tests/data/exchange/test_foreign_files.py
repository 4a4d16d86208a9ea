"""Files as other tools write them: what they say, in which unit their offsets count, and what has no place in an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from extune.data.readers import ReadResult, choose_reader, read_examples
from extune.data.readers.columns import RowShape
from extune.data.readers.tables import find_encoding
from extune.data.splits import read_file, read_split
from extune.domain.annotation import Extraction, Labels, Span
from extune.domain.task import ClassificationTask, ExtractionTask, RecordTask
from extune.errors import DataError, RecipeError
from extune.recipe.sections import DataSection

TEXT = "😀服𠮷黄芪\r\n治头痛"  # code points: 黄芪 [3, 5), 头痛 [8, 10)
GOLD = Extraction((Span("药", "黄芪", 3, 5), Span("症", "头痛", 8, 10)))
UNITS = {  # the same two mentions, as others count them
    "code points": ((3, 5), (8, 10)),
    "UTF-16 units": ((5, 7), (10, 12)),
    "code points with CR LF as one": ((3, 5), (7, 9)),
    "UTF-16 units with CR LF as one": ((5, 7), (9, 11)),
}
TYPES = ("药", "症")


def dump(path: Path, *rows: object) -> Path:
    content = json.dumps(rows[0]) if isinstance(rows[0], list) else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(content, encoding="utf-8")
    return path


def read(path: Path, name: str, **more: Any) -> ReadResult:
    """Read a file, which is recognised too."""
    assert choose_reader("auto", path, find_encoding(path), more.get("task"), RowShape()) == name
    return read_examples(path, **more)


def region(start: int, end: int, name: str, text: str | None = None) -> dict[str, object]:
    value = {"start": start, "end": end, "labels": [name], **({} if text is None else {"text": text})}
    return {"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual", "value": value}


def task_row(*results: dict[str, object], text: str = TEXT, **more: object) -> dict[str, object]:
    return {"id": 7, "data": {"text": text}, "annotations": [{"id": 1, "result": list(results)}], "project": 3, **more}


@pytest.mark.parametrize("unit", UNITS)
def test_label_studio_offsets_are_understood_by_the_strings_beside_them(tmp_path: Path, unit: str) -> None:
    (drug, sign) = UNITS[unit]
    path = dump(tmp_path / "a.json", [task_row(region(*drug, "药", "黄芪"), region(*sign, "症", "头痛"))])
    result = read(path, "label-studio")
    assert [(one.id, one.text, one.gold) for one in result] == [("7", TEXT, GOLD)]
    assert [note for note in result.notes if "offsets" in note] == (
        [] if unit == "code points" else [f"1 times: offsets are read as {unit} (first in {path}:1)"]
    )
    assert result.losses.total == 0


def test_offsets_that_fit_nowhere_are_an_error_with_a_line(tmp_path: Path) -> None:
    path = dump(tmp_path / "a.jsonl", task_row(region(0, 2, "药", "黄芪")))
    with pytest.raises(DataError, match=r"reads .* the entity says '黄芪'") as caught:
        read(path, "label-studio")
    assert f"{path}:1" in str(caught.value)


def test_offsets_that_nothing_shows_are_code_points_and_that_is_said(tmp_path: Path) -> None:
    result = read(dump(tmp_path / "a.jsonl", {"id": 1, "text": TEXT, "label": [[3, 5, "药"], [8, 10, "症"]]}), "doccano")
    assert [one.gold for one in result] == [GOLD]
    assert any("taken for code points" in note for note in result.notes)


def test_line_breaks_in_letters_are_no_other_text(tmp_path: Path) -> None:
    """Label Studio spells them out in the string of a region that goes over lines."""
    path = dump(tmp_path / "a.jsonl", task_row(region(0, 3, "药", "甲\\n乙"), text="甲\n乙"))
    assert [one.gold for one in read(path, "label-studio")] == [Extraction((Span("药", "甲\n乙", 0, 3),))]


def test_what_label_studio_says_besides_is_counted(tmp_path: Path) -> None:
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    empty = {"type": "labels", "value": {"start": 0, "end": 1, "text": "😀"}}
    both = region(3, 5, "药", "黄芪")
    both["value"]["labels"] = ["药", "补品"]  # type: ignore[index]
    row = task_row(both, region(3, 5, "药", "黄芪"), relation, empty, {"type": "rating", "value": {"rating": 3}}, agreement=0.5)
    row["annotations"] += [{"result": []}, {"result": [region(0, 1, "药")], "was_cancelled": True}]  # type: ignore[operator]
    result = read(dump(tmp_path / "a.jsonl", row), "label-studio")
    assert [one.gold for one in result] == [Extraction((Span("药", "黄芪", 3, 5), Span("补品", "黄芪", 3, 5)))]
    lost = "\n".join(result.losses.notes())
    for what in ("relation", "without label", "'rating'", "'agreement'", "another annotation", "stands twice"):
        assert what in lost
    assert result.losses.total == 6


def test_the_ground_truth_goes_before_and_an_open_task_has_no_gold(tmp_path: Path) -> None:
    true = {"result": [region(3, 5, "药", "黄芪"), region(8, 10, "症", "头痛")], "ground_truth": True}
    first = task_row()
    first["annotations"] += [true]  # type: ignore[operator]
    open_row = {"id": 8, "data": {"text": "无恙"}, "annotations": [], "predictions": [{"result": [region(0, 1, "药")]}]}
    result = read(dump(tmp_path / "a.json", [first, open_row]), "label-studio")
    assert [one.gold for one in result] == [GOLD, None]
    assert any("only predicted" in note for note in result.notes)


def test_open_tasks_stop_a_training_or_are_left_out(tmp_path: Path) -> None:
    open_row = {"id": 8, "data": {"text": "无恙"}, "annotations": []}
    path = dump(tmp_path / "a.jsonl", task_row(region(3, 5, "药", "黄芪")), open_row)
    task, section = ExtractionTask(types=dict.fromkeys(TYPES, "")), DataSection(train=str(path))
    with pytest.raises(DataError, match="example '8' is not annotated") as caught:
        read_split(section, "train", task)
    assert f"{path}:2" in str(caught.value)
    result = read_split(section.model_copy(update={"on_bad_row": "skip"}), "train", task)
    assert [one.id for one in result] == ["7"]
    assert [(row.line, row.code) for row in result.skipped] == [(2, "no-gold")]


def test_choices_are_classes(tmp_path: Path) -> None:
    choice = {"type": "choices", "from_name": "c", "to_name": "text", "value": {"choices": ["重"]}}
    path = dump(tmp_path / "a.jsonl", task_row(choice))
    assert [one.gold for one in read(path, "label-studio")] == [Labels(("重",))]
    task = ClassificationTask(label_names=["轻", "重"])
    assert [one.gold for one in read(path, "label-studio", task=task)] == [Labels(("重",))]
    with pytest.raises(DataError, match="label '重' is not in"):
        read(path, "label-studio", task=ClassificationTask(label_names=["轻", "中"]))
    spans = read(path, "label-studio", task=ExtractionTask(types={"药": ""}))
    assert [one.gold for one in spans] == [Extraction()]
    assert spans.losses.total == 1


def test_doccano_with_relations(tmp_path: Path) -> None:
    entities = [
        {"id": 1, "label": "药", "start_offset": 3, "end_offset": 5},
        {"id": 2, "label": "症", "start_offset": 8, "end_offset": 10},
    ]
    row = {
        "id": 4,
        "text": TEXT,
        "Comments": ["?"],
        "entities": entities,
        "relations": [{"from_id": 1, "to_id": 2, "type": "治"}],
    }
    result = read(dump(tmp_path / "a.jsonl", row), "doccano")
    assert [(one.id, one.gold) for one in result] == [("4", GOLD)]
    assert [note.split(" (")[0] for note in result.losses.notes()] == [
        "1 times: a relation is not read",
        "1 times: 'Comments' is not read",
    ]


def test_doccano_once_counted_utf16(tmp_path: Path) -> None:
    """Only offsets beyond the text show it."""
    text = "😀" * 6 + "黄芪"
    result = read(dump(tmp_path / "a.jsonl", {"text": text, "labels": [[12, 14, "药"]]}), "doccano")
    assert [one.gold for one in result] == [Extraction((Span("药", "黄芪", 6, 8),))]


def test_prodigy(tmp_path: Path) -> None:
    tokens = [{"text": one, "id": number, "start": number, "end": number + 1} for number, one in enumerate(TEXT)]
    spans = [
        {"start": 3, "end": 5, "label": "药", "token_start": 3, "token_end": 4},
        {"token_start": 8, "token_end": 9, "label": "症"},
    ]
    row = {"text": TEXT, "_input_hash": 1, "_task_hash": 2, "tokens": tokens, "spans": spans, "answer": "accept"}
    rejected = [{**row, "answer": "reject"}, {**row, "answer": "ignore"}, {"text": "无恙", "_input_hash": 3}]
    result = read(dump(tmp_path / "a.jsonl", row, *rejected), "prodigy")
    assert [one.gold for one in result] == [GOLD, None]
    assert [note.split(" (")[0] for note in result.losses.notes()] == [
        "1 times: a row with the answer 'reject' is left out", "1 times: a row with the answer 'ignore' is left out",
    ]  # fmt: skip
    torn = {**row, "spans": [{**spans[0], "token_end": 5}]}
    with pytest.raises(DataError, match="disagree"):
        read(dump(tmp_path / "b.jsonl", torn), "prodigy")


def test_prodigy_choices_and_accepted_labels(tmp_path: Path) -> None:
    options = [{"id": "轻", "text": "轻"}, {"id": "重", "text": "重"}]
    rows = [
        {"text": "甲", "options": options, "accept": ["重"], "answer": "accept"},
        {"text": "乙", "label": "轻", "answer": "accept"},
    ]
    assert [one.gold for one in read(dump(tmp_path / "a.jsonl", *rows), "prodigy")] == [Labels(("重",)), Labels(("轻",))]


@pytest.mark.parametrize("inclusive", [True, False])
def test_cmeee_ends_are_understood_by_the_length_of_the_string(tmp_path: Path, inclusive: bool) -> None:
    entities = [
        {"start_idx": start, "end_idx": end - inclusive, "type": name, "entity": text}
        for start, end, name, text in ((3, 5, "药", "黄芪"), (8, 10, "症", "头痛"))
    ]
    result = read(dump(tmp_path / "a.json", [{"text": TEXT, "entities": entities}, {"text": "无标注"}]), "cmeee")
    assert [one.gold for one in result] == [GOLD, None]
    assert any("exclusive" in note for note in result.notes) != inclusive


def test_cluener(tmp_path: Path) -> None:
    row = {"text": TEXT, "label": {"药": {"黄芪": [[3, 4]]}, "症": {"头痛": [[8, 9]]}}}
    assert [one.gold for one in read(dump(tmp_path / "a.json", row), "cluener")] == [GOLD]


def test_uie_rows_of_one_text_are_one_example_and_relations_are_counted(tmp_path: Path) -> None:
    def row(prompt: str, *found: tuple[int, int], text: str = TEXT) -> dict[str, object]:
        results = [{"text": text[start:end], "start": start, "end": end} for start, end in found]
        return {"content": text, "result_list": results, "prompt": prompt}

    rows = [row("药", (3, 5)), row("症", (8, 10)), row("黄芪的主治", (8, 10)), row("药", text="无恙"), row("药", text="无恙")]
    result = read(dump(tmp_path / "a.jsonl", *rows), "uie")
    assert [one.gold for one in result] == [GOLD, Extraction(), Extraction()]
    assert [one.source.line for one in result if one.source] == [1, 4, 5]
    assert [note.split(" (")[0] for note in result.losses.notes()] == ["1 times: the answer to a relation's prompt is not read"]


ANNOTATIONS = """T1\t药 3 5\t黄芪
T2\t症 8 9;9 10\t头 痛
T3\t药 0 1;3 5\t😀 黄芪
R1\tTreats Arg1:T1 Arg2:T2
A1\tNegated T2
#1\tAnnotatorNotes T1\t?
"""


def write_brat(folder: Path, annotations: str) -> Path:
    folder.mkdir()
    (folder / "one.txt").write_bytes(TEXT.encode())
    (folder / "one.ann").write_text(annotations, encoding="utf-8")
    (folder / "two.txt").write_bytes("甲\n乙".encode())
    (folder / "two.ann").write_text("T9\t药 0 1;2 3\t甲 乙\n", encoding="utf-8")
    return folder


def test_a_folder_of_brat(tmp_path: Path) -> None:
    folder = write_brat(tmp_path / "docs", ANNOTATIONS)
    result = read_file(DataSection(), folder, None)
    assert {one.id: one.gold for one in result} == {"one": GOLD, "two": Extraction((Span("药", "甲\n乙", 0, 3),))}
    lost = [note.split(" (")[0] for note in result.losses.notes()]
    assert lost == [f"1 times: {what}" for what in (
        "a discontinuous entity is left out", "a relation is not read", "an attribute is not read", "a comment is not read",
    )]  # fmt: skip
    assert not any("not read, the first is one.ann" in note for note in result.notes)
    assert read(folder / "one.ann", "brat").examples[0].text == TEXT


def test_a_discontinuous_entity_of_brat_stops_a_training(tmp_path: Path) -> None:
    folder = write_brat(tmp_path / "docs", ANNOTATIONS)
    section, task = DataSection(train=str(folder)), ExtractionTask(types=dict.fromkeys(TYPES, ""))
    with pytest.raises(DataError, match="discontinuous") as caught:
        read_split(section, "train", task)
    assert f"{folder / 'one.ann'}:3" in str(caught.value)
    result = read_split(section.model_copy(update={"on_bad_row": "skip"}), "train", task)
    assert [(one.id, row.code) for one, row in zip(result, result.skipped, strict=True)] == [("two", "discontinuous")]


@pytest.mark.parametrize("line", ["T1 药 3 5 黄芪", "T1\t药 3\t黄芪", "X1\tfoo", "T1\t药 3 5\t当归", "T1\t药 3 99\t黄芪"])
def test_a_wrong_line_of_brat_is_an_error(tmp_path: Path, line: str) -> None:
    folder = write_brat(tmp_path / "docs", line + "\n")
    with pytest.raises(DataError) as caught:
        read_file(DataSection(), folder, None)
    assert f"{folder / 'one.ann'}:1" in str(caught.value)


def test_a_format_that_cannot_hold_the_task_is_refused(tmp_path: Path) -> None:
    path = dump(tmp_path / "a.jsonl", {"text": "黄芪", "label": {"药": {"黄芪": [[0, 1]]}}})
    task = RecordTask.model_validate({"fields": {"药": {"kind": "verbatim"}}})
    with pytest.raises(RecipeError, match=r"'cluener' reads entities, task\.kind is 'record'"):
        read_examples(path, reader="cluener", task=task)
    with pytest.raises(RecipeError, match="unknown reader"):
        read_examples(path, reader="gate")


@pytest.mark.parametrize(
    ("row", "reader"),
    [
        ({"text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "药"}]}, "spans"),
        ({"text": "黄芪", "entities": []}, "spans"),
        ({"text": "黄芪", "labels": ["药"]}, "rows"),
        ({"text": "头痛？", "answer": "accept"}, "rows"),
        ({"messages": [{"role": "user", "content": "头痛"}]}, "rows"),
    ],
)
def test_rows_of_no_other_tool_are_read_as_before(tmp_path: Path, row: dict[str, object], reader: str) -> None:
    path = dump(tmp_path / "a.jsonl", row)
    assert choose_reader("auto", path, "utf-8", None, RowShape()) == reader
