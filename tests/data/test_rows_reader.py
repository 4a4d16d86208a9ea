"""Rows of named columns: containers, columns, conversations, and answers of every kind of task."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from extune.data.readers import ReadResult, RowShape, read_examples
from extune.data.readers.columns import TurnKeys
from extune.domain.annotation import Answer, Extraction, Fields, Labels, Span
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask, Task
from extune.errors import DataError, RecipeError
from extune.prompts.formats import EXTRACTION_FORMATS
from extune.recipe.sections import ColumnsSection

TYPES = ExtractionTask.model_validate({"types": {"药": "", "症": ""}})
RECORD = RecordTask.model_validate(
    {"fields": {"药名": {"kind": "verbatim"}, "病程": {"kind": "enum", "of": ["急性", "无"]}, "诊断": {"kind": "text"}}}
)
DISTINCT = RecordTask.model_validate(
    {"fields": {"药名": {"kind": "verbatim", "distinct": True}, "查": {"kind": "verbatim"}, "诊断": {"kind": "text"}}}
)
CLASSES = ClassificationTask.model_validate({"label_names": ["科技", "体育", "财经"]})
CHAT = GenerationTask()
SUFFIXES = ["jsonl", "json", "csv", "tsv", "parquet", "arrow", "feather"]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the container that the suffix names; in CSV and TSV what is no string becomes JSON."""
    kind = path.suffix[1:]
    if kind in ("parquet", "feather"):
        (parquet.write_table if kind == "parquet" else feather.write_feather)(pa.Table.from_pylist(rows), path)
    elif kind == "arrow":
        table = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif kind in ("csv", "tsv"):
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, delimiter="," if kind == "csv" else "\t")
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in row.values())
        path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    elif kind == "json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    else:
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def read(folder: Path, rows: list[dict[str, Any]], task: Task | None, kind: str = "jsonl", **settings: Any) -> ReadResult:
    columns = settings.pop("columns", None)
    bad = settings.pop("on_bad_row", "error")
    shape = RowShape(columns=None if columns is None else ColumnsSection(**columns), **settings)
    return read_examples(write(folder / f"rows.{kind}", rows), task=task, shape=shape, reader="rows", on_bad_row=bad)


def gold(folder: Path, row: dict[str, Any], task: Task, **settings: Any) -> Any:
    (example,) = read(folder, [row], task, **settings)
    return example.gold


STRINGS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", SUFFIXES)
def test_what_is_written_is_read_from_every_container(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.tuples(STRINGS, STRINGS.filter(str.strip)), min_size=1, max_size=4))
    rows = [{"frage": text, "antwort": answer} for text, answer in texts]
    columns = {"text": "frage", "answer": "antwort"}
    result = read(tmp_path_factory.mktemp("any"), rows, CHAT, kind=kind, columns=columns)
    assert [(example.text, example.gold) for example in result] == [(text, Answer(answer)) for text, answer in texts]
    assert result.skipped == ()


@settings(max_examples=10, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_written_records_are_read(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    value = STRINGS.filter(lambda text: text.strip() not in ("", "无", "没有"))
    pieces = data.draw(st.lists(value, min_size=1, max_size=3))
    answer = {"药名": pieces, "病程": data.draw(st.sampled_from(["急性", "无"])), "诊断": data.draw(value)}
    text = "，".join(pieces)
    result = read(tmp_path_factory.mktemp("any"), [{"text": text, "fields": answer}], RECORD, kind=kind)
    assert result.examples[0].gold == Fields({**answer, "药名": tuple(pieces)})
    assert len(result.notes) == 1  # which columns were read; nothing was mended, dropped or missing


@settings(max_examples=20, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("answer_format", [one for one in EXTRACTION_FORMATS if one.name != "bio"], ids=lambda one: one.name)
def test_rendered_answers_are_read(tmp_path_factory: pytest.TempPathFactory, answer_format: Any, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.text("甲乙_；：\\", min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    text = "".join(f"「{piece}」" for piece in pieces)
    spans = []
    for piece in pieces:
        start = text.index(f"「{piece}」") + 1
        spans.append(Span(data.draw(st.sampled_from(TYPES.names)), piece, start, start + len(piece)))
    wanted = Extraction(tuple(spans))
    answer = answer_format.render_target(TYPES, text, wanted)
    found = gold(tmp_path_factory.mktemp("any"), {"text": text, "answer": answer}, TYPES, answer_format=answer_format.name)
    assert sorted((span.type, span.text) for span in found.spans) == sorted((span.type, span.text) for span in spans)


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
def test_entities_with_offsets_are_read_from_any_container(tmp_path: Path, kind: str) -> None:
    rows = [{"text": "黄芪补气", "entities": [{"start": 0, "end": 2, "type": "药"}]}]
    assert read(tmp_path, rows, TYPES, kind=kind).examples[0].gold == Extraction((Span("药", "黄芪", 0, 2),))


HUANGQI = Extraction((Span("药", "黄芪", 0, 2), Span("症", "气虚", 3, 5)))


@pytest.mark.parametrize(
    ("answer", "answer_format"),
    [
        ("黄芪_药\n气虚_症", "pairs"),
        ("黄芪_药\r\n\r\n气虚_症\n", "pairs"),
        ("药：黄芪\n症：气虚", "lines"),
        ({"药": ["黄芪"], "症": "气虚"}, None),
        ({"药": ["黄芪", "无"], "症": ["气虚", ""]}, None),
        ('{"药": ["黄芪"], "症": ["气虚"]}', None),
        ("```json\n{'药': ['黄芪'], '症': ['气虚']}\n```", None),
        ("{'药': ['黄芪'], '症': ['气虚',]", "json"),
        ([{"type": "药", "text": "黄芪"}, {"type": "症", "text": "气虚"}], None),
        ('[{"type": "药", "start": 0, "end": 2}, {"type": "症", "start": 3, "end": 5}]', None),
    ],
)
def test_the_same_entities_in_every_syntax(tmp_path: Path, answer: Any, answer_format: Any) -> None:
    assert gold(tmp_path, {"text": "黄芪补气虚", "answer": answer}, TYPES, answer_format=answer_format) == HUANGQI


@pytest.mark.parametrize("answer_format", ["pairs", None])
@pytest.mark.parametrize("answer", ["没有", "无", "", " 没有\n", None, {}, [], {"药": [], "症": None}])
def test_nothing_is_no_entity(tmp_path: Path, answer: Any, answer_format: Any) -> None:
    assert gold(tmp_path, {"text": "黄芪", "answer": answer}, TYPES, answer_format=answer_format) == Extraction()


def test_a_mention_may_hold_bare_separators_of_others(tmp_path: Path) -> None:
    found = gold(tmp_path, {"text": "服A_1片", "answer": "A_1_药"}, TYPES, answer_format="pairs")
    assert found == Extraction((Span("药", "A_1", 1, 4),))


def test_what_was_decided_about_mentions_is_counted_with_its_place(tmp_path: Path) -> None:
    rows = [
        {"text": "ＡＢＣ片", "answer": {"药": ["abc"]}},
        {"text": "黄芪", "answer": {"药": ["黄芪", "黄芪"]}},
        {"text": "咳，咳", "answer": {"症": ["咳"]}},
    ]
    notes = read(tmp_path, rows, TYPES).notes
    for what, line in (("differs from its text", 1), ("the repeat is left out", 2), ("which one is meant is guessed", 3)):
        assert any(note.startswith("1 times") and what in note and f"rows.jsonl:{line})" in note for note in notes), notes


def test_entities_that_are_not_in_the_text_are_counted_and_their_rows_named(tmp_path: Path) -> None:
    rows = [
        {"text": "黄芪", "answer": {"药": ["桂枝", "甘草"]}},
        {"text": "黄芪", "answer": {"药": ["黄芪"]}},
        {"text": "甘草", "answer": {"药": ["甘草", "桂枝"]}},
    ]
    with pytest.raises(DataError, match=r"2 mention\(s\) do not occur in the text: '桂枝' \(药\), '甘草' \(药\)") as caught:
        read(tmp_path, rows, TYPES)
    assert caught.value.where.endswith("rows.jsonl:1")
    result = read(tmp_path, rows, TYPES, on_bad_row="skip")
    assert [row.line for row in result.skipped] == [1, 3]
    assert any(note.startswith("3 times: mention does not occur") for note in result.notes)


def test_text_without_a_named_syntax_is_a_recipe_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing says how it is written") as caught:
        read(tmp_path, [{"text": "黄芪", "answer": "黄芪_药"}], TYPES)
    assert "data.answer_format=pairs" in caught.value.fix


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"药名": ["黄芪"], "诊断": "气虚"}, {"药名": ("黄芪",), "诊断": "气虚"}),
        ('```json\n{"药名": ["黄芪"], "诊断": "气虚"}\n```', {"药名": ("黄芪",), "诊断": "气虚"}),
        ("{'药名': ['黄芪'], '诊断': None, '病程': '无'}", {"药名": ("黄芪",), "病程": "无"}),
        ('{"药名": ["黄芪"], "诊断": "气虚"', {"药名": ("黄芪",), "诊断": "气虚"}),
        ({"药名": "黄芪、桂枝", "诊断": "无"}, {"药名": ("黄芪", "桂枝")}),
        ({"药名": "黄芪，甘草"}, {"药名": ("黄芪，甘草",)}),
        ({"药名": "['黄芪']", "诊断": ["甲", "乙"]}, {"药名": ("黄芪",), "诊断": "甲；乙"}),
        ({"药名": ["无", ""], "诊断": 3}, {"诊断": "3"}),
        ({"药名": [], "病程": "", "诊断": " "}, {}),
        ("无", {}),
    ],
)
def test_records_from_whatever_people_write(tmp_path: Path, value: Any, wanted: dict[str, Any]) -> None:
    assert gold(tmp_path, {"text": "黄芪，甘草与桂枝", "output": value}, RECORD) == Fields(wanted)


def test_a_list_that_is_not_distinct_may_name_a_piece_again(tmp_path: Path) -> None:
    row = {"text": "黄芪黄芪", "fields": {"药名": ["黄芪", "芪"], "查": ["黄芪", "黄芪"]}}
    assert gold(tmp_path, row, DISTINCT) == Fields({"药名": ("黄芪", "芪"), "查": ("黄芪", "黄芪")})


def test_a_record_may_have_a_column_for_each_field(tmp_path: Path) -> None:
    result = read(tmp_path, [{"text": "黄芪", "药名": "黄芪", "诊断": "气虚", "n": "1"}], RECORD, kind="csv")
    assert result.examples[0].gold == Fields({"药名": ("黄芪",), "诊断": "气虚"})
    assert "column 'n' ignored, 1 times" in result.notes


def test_what_was_decided_about_records_is_counted(tmp_path: Path) -> None:
    rows = [
        {"text": "黄芪", "fields": {"药名": ["桂枝", "黄芪"], "旧": 1, "诊断": "没有"}},
        {"text": "", "fields": "{'诊断': '甲'"},
    ]
    notes = "\n".join(read(tmp_path, rows, RECORD).notes)
    for what in ("key '旧' of the answer", "'药名' does not occur in its text", "'诊断' says nothing", "mended by guessing"):
        assert f"1 times: {what}" in notes or what in notes


@pytest.mark.parametrize(
    ("label", "more", "wanted"),
    [
        ("科技", {}, ("科技",)),
        (["体育"], {}, ("体育",)),
        (" 体育 ", {"candidates": ["科技", "体育"]}, ("体育",)),
        ("财经", {"candidates": "科技；财经"}, ("财经",)),
        ("财经", {"candidates": '["科技", "财经"]'}, ("财经",)),
    ],
)
def test_one_label(tmp_path: Path, label: Any, more: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert gold(tmp_path, {"text": "甲", "label": label, **more}, CLASSES) == Labels(wanted)


@pytest.mark.parametrize(
    ("value", "wanted"), [("科技、体育", 2), (["科技"], 1), ("无", 0), ([], 0), ("科技", 1), ("['科技','财经']", 2)]
)
def test_any_number_of_labels(tmp_path: Path, value: Any, wanted: int) -> None:
    task = CLASSES.model_copy(update={"multi_label": True})
    assert len(gold(tmp_path, {"text": "甲", "labels": value}, task).names) == wanted


def test_candidates_stay_with_their_row(tmp_path: Path) -> None:
    rows = [{"text": "甲", "cat": ["科技", "体育"], "y": "科技"}, {"text": "乙", "cat": ["财经", "体育"], "y": "体育"}]
    result = read(tmp_path, rows, CLASSES, columns={"candidates": "cat", "answer": "y"})
    assert [example.candidates for example in result] == [("科技", "体育"), ("财经", "体育")]


BAD_ROWS = [
    (TYPES, {"text": "黄芪", "answer": "黄芪-药"}, "cannot be read at '黄芪-药'"),
    (TYPES, {"text": "黄芪", "answer": "黄芪_要"}, "unknown type '要'"),
    (TYPES, {"text": "黄芪", "answer": {"药品": ["黄芪"]}}, "unknown type '药品', did you mean '药'"),
    (TYPES, {"text": "黄芪", "answer": 3}, "the answer is a int"),
    (TYPES, {"text": "黄芪", "answer": {"药": [["黄芪"]]}}, "mentions are a list"),
    (TYPES, {"answer": "无"}, "has no text ('text' or 'input'); there are: 'answer'"),
    (TYPES, {"text": "黄芪"}, "has no answer ('entities' or 'answer' or 'output')"),
    (TYPES, {"text": 3, "answer": "无"}, '"text" is of type int'),
    (RECORD, {"text": "甲", "fields": "病程急性"}, "the answer '病程急性' is no object with fields"),
    (RECORD, {"text": "甲", "fields": ["甲"]}, "the answer, a list, is no object"),
    (RECORD, {"text": "甲", "fields": {"病程": "急"}}, "field '病程' is '急', did you mean '急性'?"),
    (RECORD, {"text": "甲", "fields": {"药名": {"a": 1}}}, "field '药名' is of type dict"),
    (RECORD, {"text": "甲", "fields": {"诊断": True}}, "field '诊断' is of type bool"),
    (CLASSES, {"text": "甲", "label": "科枝"}, "label '科枝' is not in task.label_names, did you mean '科技'?"),
    (CLASSES, {"text": "甲", "label": "财经", "candidates": ["科技", "体育"]}, "label '财经' is not in the row's candidates"),
    (CLASSES, {"text": "甲", "label": "科技", "candidates": ["科技", "军事"]}, "label '军事' is not in task.label_names"),
    (CLASSES, {"text": "甲", "label": "科技", "candidates": ["科技", "科技"]}, "a candidate stands twice"),
    (CLASSES, {"text": "甲", "label": ["科技", "体育"]}, "has 2 labels"),
    (CLASSES, {"text": "甲", "label": None}, "labels are of type NoneType"),
    (CHAT, {"text": "甲", "answer": " "}, "the answer is empty"),
    (DISTINCT, {"text": "黄芪黄芪", "fields": {"药名": ["黄芪", "黄芪"]}}, "field '药名' lists '黄芪' twice"),
    (DISTINCT, {"text": "黄芪", "fields": {"药名": "黄芪；芪；黄芪"}}, "field '药名' lists '黄芪' twice"),
    (CHAT, {"text": "甲", "answer": 5}, "the answer is of type int"),
    (CHAT, {"text": "甲", "answer": "乙", "history": [["一"]]}, "history is not a list of pairs"),
    (CHAT, {"messages": [{"role": "assistant", "content": "乙"}]}, "the conversation begins with an answer"),
    (CHAT, {"messages": [{"role": "user", "content": "乙"}]}, "the conversation has no answer"),
    (CHAT, {"messages": [{"role": "tool", "content": "乙"}]}, "turn 1 is by 'tool'"),
    (CHAT, {"messages": [{"role": "user"}]}, "turn 1 has no content"),
    (CHAT, {"messages": "甲"}, "the turns are no list"),
    (CHAT, {"id": "a", "text": "甲", "answer": "乙"}, "id 'a' also stands in line 1"),
]


@pytest.mark.parametrize(("task", "row", "says"), BAD_ROWS)
def test_a_wrong_row_stops_with_its_line_or_is_skipped_and_counted(
    tmp_path: Path, task: Task, row: dict[str, Any], says: str
) -> None:
    good = {
        "extraction": {"text": "黄芪", "answer": "黄芪_药"},
        "record": {"text": "甲", "fields": {"诊断": "甲"}},
        "classification": {"text": "甲", "label": "科技"},
        "generation": {"text": "甲", "answer": "乙"},
    }[task.kind]
    rows = [{**good, "id": "a"}, row, {**good, "id": "c"}]
    with pytest.raises(DataError) as caught:
        read(tmp_path, rows, task, answer_format="pairs" if task.kind == "extraction" else None)
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}:2"
    assert says in caught.value.what
    assert caught.value.expected
    assert caught.value.fix
    shape = "pairs" if task.kind == "extraction" else None
    result = read(tmp_path, rows, task, answer_format=shape, on_bad_row="skip")
    assert [example.id for example in result] == ["a", "c"]
    assert [(skipped.line, says in skipped.reason) for skipped in result.skipped] == [(2, True)]


CONVERSATION = [("user", "问一"), ("assistant", "答一"), ("user", "问二"), ("user", "问三"), ("assistant", "答二")]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("column", "keys", "names"),
    [
        ("messages", ("role", "content"), {"user": "user", "assistant": "assistant"}),
        ("conversations", ("from", "value"), {"user": "human", "assistant": "gpt"}),
    ],
)
def test_a_conversation_is_one_example_for_each_answer(
    tmp_path: Path, column: str, keys: tuple[str, str], names: dict[str, str], as_text: bool
) -> None:
    turns: Any = [{keys[0]: "system", keys[1]: "你是医生"}]
    turns += [{keys[0]: names[role], keys[1]: content} for role, content in CONVERSATION]
    result = read(tmp_path, [{"id": 7, column: json.dumps(turns) if as_text else turns}], CHAT)
    first, second = result.examples
    assert (first.id, first.text, first.history, first.gold) == ("7-1", "问一", (), Answer("答一"))
    assert (second.text, second.history, second.gold) == ("问二\n问三", (("问一", "答一"),), Answer("答二"))
    assert first.instruction == second.instruction == "你是医生"
    assert result.groups == {"7-1": "7", "7-2": "7"}


def test_named_roles(tmp_path: Path) -> None:
    turns = [{"wer": "患者", "was": "问"}, {"wer": "医生", "was": "答"}]
    keys = TurnKeys(role="wer", content="was", user="患者", assistant="医生")
    (example,) = read(tmp_path, [{"messages": turns}], CHAT, turns=keys)
    assert (example.text, example.gold) == ("问", Answer("答"))


def test_columns_beside_a_conversation_are_used_or_counted(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "黄芪"}, {"role": "assistant", "content": "黄芪_药"}]
    row = {"messages": turns, "system": "你是医生", "input": "乙", "output": "无"}
    result = read(tmp_path, [row], CHAT)
    assert (result.examples[0].instruction, result.examples[0].gold) == ("你是医生", Answer("黄芪_药"))
    assert {"column 'input' ignored, 1 times", "column 'output' ignored, 1 times"} <= set(result.notes)
    (example,) = read(tmp_path, [row], TYPES, answer_format="pairs")
    assert (example.instruction, example.gold) == ("你是医生", Extraction())


@pytest.mark.parametrize(("encoding", "says"), [("nope", "unknown encoding 'nope'"), ("ascii", "is not valid ascii")])
def test_an_encoding_that_does_not_fit_is_an_error(tmp_path: Path, encoding: str, says: str) -> None:
    path = write(tmp_path / "a.json", [{"text": "甲", "answer": "乙"}])
    with pytest.raises(DataError, match=says):
        read_examples(path, task=CHAT, encoding=encoding)


def test_turns_are_one_text_for_other_tasks(tmp_path: Path) -> None:
    turns = [{"role": "医生", "content": "哪里不适"}, {"role": "患者", "content": "气虚"}]
    (example,) = read(tmp_path, [{"messages": turns, "answer": {"症": ["气虚"]}}], TYPES)
    assert example.text == "医生: 哪里不适\n患者: 气虚"
    assert [(span.start, span.text) for span in example.gold.spans] == [(13, "气虚")]


def test_the_assistants_last_turn_is_the_answer_of_other_tasks(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "黄芪"}, {"role": "assistant", "content": "黄芪_药"}]
    (example,) = read(tmp_path, [{"messages": turns}], TYPES, answer_format="pairs")
    assert (example.text, example.gold) == ("黄芪", Extraction((Span("药", "黄芪", 0, 2),)))


def test_alpaca_rows(tmp_path: Path) -> None:
    rows = [
        {"instruction": "何为气虚", "input": "", "output": "甲", "history": [["问", "答"]]},
        {"instruction": "翻译", "input": "黄芪", "output": {"a": [1]}, "system": "你是医生", "history": []},
    ]
    first, second = read(tmp_path, rows, CHAT).examples
    assert (first.text, first.instruction, first.history) == ("何为气虚", None, (("问", "答"),))
    assert (second.text, second.instruction, second.gold) == ("黄芪", "你是医生\n翻译", Answer('{"a": [1]}'))


def test_several_names_and_no_column_at_all(tmp_path: Path) -> None:
    rows = [{"a": "甲", "output": "乙", "instruction": "丙"}, {"b": "丁", "output": "戊"}]
    result = read(tmp_path, rows, CHAT, columns={"text": ["a", "b"], "instruction": []})
    assert [(example.text, example.instruction) for example in result] == [("甲", None), ("丁", None)]
    assert "column 'instruction' ignored, 1 times" in result.notes


def test_a_column_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row has a column 'instruct'; there are: 'text', 'answer'"):
        read(tmp_path, [{"text": "甲", "answer": "乙"}], CHAT, columns={"instruction": "instruct"})


def test_lines_of_an_array_are_those_of_its_elements(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff[\n {"text": "甲", "answer": "乙"},\n\n {"text": "丙",\n  "answer": "丁"}, 3]\n', encoding="utf-8")
    with pytest.raises(DataError, match="an element of the array is a JSON int") as caught:
        read_examples(path, task=CHAT)
    assert caught.value.where == f"{path}:5"
    result = read_examples(path, task=CHAT, on_bad_row="skip")
    assert [example.source.line for example in result] == [2, 4]


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        ('[{"text": "甲", "answer": "乙"},\n {"text": }]', ":2", "not JSON at column 11"),
        ('[{"text": "甲", "answer": "乙"}\n {}]', ":2", "neither a comma nor ]"),
        ('[{"text": "甲", "answer": "乙"}]\n[]', ":2", "something stands after the end"),
    ],
)
def test_a_broken_array_stops_even_where_wrong_rows_are_skipped(tmp_path: Path, content: str, where: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        read_examples(path, task=CHAT, on_bad_row="skip")
    assert caught.value.where == f"{path}{where}"


def test_parquet_that_is_none_and_a_missing_library_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_examples(path, task=CHAT)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow") as caught:
        read_examples(path, task=CHAT)
    assert "pip install 'extune[tables]'" in caught.value.fix


def test_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("黄 B-药\n芪 I-药\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="'bio' has no columns to choose from"):
        read_examples(path, task=TYPES, shape=RowShape(group_by="patient"))
