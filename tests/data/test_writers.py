"""Prediction files: content, resuming after a crash at any byte, reading back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.readers import read_examples
from extune.data.readers.own_rows import ANSWER_KEYS
from extune.data.writers import PredictionWriter, prediction_to_row, read_predictions
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".txt")
TEXTS = {
    "a": "黄芪补气",
    'b, "c"\t\\d': '甲"乙,\r\n丙"',
    "e\nf": "",
    "g": "😀黄芪\u2028 =1+1",
}


def predict(example_id: str, text: str) -> Prediction:
    place = text.find("黄芪")
    spans = (Span("中药", "黄芪", place, place + 2, 0.5),) if place >= 0 else ()
    return Prediction(
        example_id,
        Extraction(spans, (Mention("方剂", "桂枝汤"),)),
        "中药：黄芪",
        (Problem(ProblemKind.UNGROUNDED, "桂枝汤"),),
        {"temperature": 0.0},
    )


PREDICTIONS = [(predict(example_id, text), text) for example_id, text in TEXTS.items()]


def write(path: Path, rows: list[tuple[Prediction, str]]) -> PredictionWriter:
    """Write the rows that are not done yet, as `extune predict` does."""
    with PredictionWriter(path) as writer:
        for prediction, text in rows:
            if prediction.example_id not in writer.done:
                writer.write(prediction, text)
    return writer


def test_a_row_holds_everything() -> None:
    assert prediction_to_row(*PREDICTIONS[0]) == {
        "id": "a",
        "text": "黄芪补气",
        "entities": [{"start": 0, "end": 2, "type": "中药", "text": "黄芪", "confidence": 0.5}],
        "ungrounded": [{"type": "方剂", "text": "桂枝汤"}],
        "problems": [{"kind": "ungrounded", "detail": "桂枝汤"}],
        "completion": "中药：黄芪",
        "decoding": {"temperature": 0.0},
    }


def test_confidence_is_left_out_where_it_was_not_computed() -> None:
    row = prediction_to_row(Prediction("a", Extraction((Span("X", "黄", 0, 1),)), ""), "黄")
    assert row["entities"] == [{"start": 0, "end": 1, "type": "X", "text": "黄"}]


def test_probabilities_of_labels_are_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    write(file, [(Prediction("a", Labels(("科技",)), "科技", probabilities={"科技": 0.75, "体育": 0.25}), "黄")])
    assert read_predictions(file)["a"].probabilities == {"科技": 0.75, "体育": 0.25}
    file.write_text(file.read_text(encoding="utf-8").replace("0.25", '"no"'), encoding="utf-8")
    with pytest.raises(DataError, match="probabilities"):
        read_predictions(file)


@pytest.mark.parametrize(
    ("kind", "annotation", "cell"),
    [
        ("classification", Labels(("科技", "体育")), "科技; 体育"),
        ("record", Fields({"药": ("黄芪", "当归"), "结论": "气虚", "无": ()}), "药: 黄芪, 当归; 结论: 气虚"),
        ("generation", Answer("多休息。"), "多休息。"),
    ],
)
def test_other_kinds_are_written_and_read_back(tmp_path: Path, kind: str, annotation: Annotation, cell: str) -> None:
    prediction = Prediction("a", annotation, "原文", (Problem(ProblemKind.CUT_OFF, "原"),))
    for suffix in SUFFIXES:
        with PredictionWriter(tmp_path / f"out{suffix}", kind) as writer:
            writer.write(prediction, "黄")
        with PredictionWriter(tmp_path / f"out{suffix}", kind) as writer:
            assert writer.done == ("a",)
    assert read_predictions(tmp_path / "out.jsonl") == {"a": prediction}
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == f"a\t黄\t{cell}\tcut_off\n"
    header = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == f"id,text,{ANSWER_KEYS[kind]},problems"


def test_jsonl_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    write(path, PREDICTIONS)
    found = read_predictions(path)
    assert list(found.values()) == [prediction for prediction, _ in PREDICTIONS]
    assert list(found) == list(TEXTS)
    assert found["a"].annotation.spans[0].confidence == 0.5


def test_predictions_are_readable_as_labelled_data(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, PREDICTIONS)
    assert {example.id: example.text for example in read_examples(path)} == TEXTS


def test_csv_cells(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write(path, PREDICTIONS)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert {row["id"]: row["text"] for row in rows} == TEXTS
    assert [[entity["text"] for entity in json.loads(row["entities"])] for row in rows] == [["黄芪"], [], [], ["黄芪"]]
    assert all(json.loads(row["problems"]) == [{"kind": "ungrounded", "detail": "桂枝汤"}] for row in rows)


def test_txt_is_one_line_per_text(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write(path, PREDICTIONS)
    lines = path.read_bytes().decode().split("\n")
    assert lines[0] == "a\t黄芪补气\t中药 黄芪 [0, 2)\tungrounded"
    assert lines[1] == 'b, \\"c\\"\\t\\\\d\t甲"乙,  丙"\t-\tungrounded'
    assert len(lines) == len(PREDICTIONS) + 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_row_is_in_the_file_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with PredictionWriter(path) as writer:
        for count, (prediction, text) in enumerate(PREDICTIONS, 1):
            writer.write(prediction, text)
            assert len(PredictionWriter(path).__enter__().done) == count


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_at_any_byte_and_resumed_equals_uninterrupted(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    write(whole, PREDICTIONS)
    content = whole.read_bytes()
    path = tmp_path / f"torn{suffix}"
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        writer = write(path, PREDICTIONS)
        assert path.read_bytes() == content
        assert list(writer.done) == list(TEXTS)[: len(writer.done)]
        assert writer.repaired <= size
        assert bool(writer.repaired) == (size > 0 and not is_row_end(content, size, suffix))
    assert writer.done == tuple(TEXTS)


def is_row_end(content: bytes, size: int, suffix: str) -> bool:
    quoted = suffix == ".csv" and content[:size].count(b'"') % 2 == 1
    return content[:size].endswith(b"\n") and not quoted


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=5), text=st.text(max_size=12), cut=st.integers(0, 200)
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_ids_and_texts_resume(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, ids: list[str], text: str, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [(Prediction(example_id, Extraction(), text), text) for example_id in ids]
    write(folder / f"whole{suffix}", rows)
    content = (folder / f"whole{suffix}").read_bytes()
    torn = folder / f"torn{suffix}"
    torn.write_bytes(content[:cut])
    write(torn, rows)
    assert torn.read_bytes() == content
    assert write(torn, rows).done == tuple(ids)


def test_a_lone_surrogate_in_a_completion_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    prediction = Prediction("a", Extraction(), "\\\ud83d")
    write(path, [(prediction, "黄")])
    assert read_predictions(path) == {"a": prediction}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.jsonl", '{"text": "黄"}\n'),
        ("out.jsonl", "黄 O\n"),
        ("out.jsonl", "[]\n"),
        ("out.csv", "text\n黄\n"),
        ("out.csv", "id,text,entities,problems\r\n黄\r\n"),
        ("out.txt", "黄芪\n"),
        ("out.txt", "\\x\t黄芪\n"),
    ],
)
def test_a_foreign_file_is_not_touched(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    with pytest.raises(DataError, match="is no prediction"):
        write(path, PREDICTIONS)
    assert path.read_bytes() == content.encode()


def test_unknown_kinds_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown kind of file '\.xlsx'"):
        PredictionWriter(tmp_path / "out.xlsx")


def test_predictions_of_other_programs_need_id_text_and_entities(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"id": 1, "text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "中药"}]}', encoding="utf-8")
    assert read_predictions(path) == {"1": Prediction("1", Extraction((Span("中药", "黄芪", 0, 2),)), "")}


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        ("", "", "holds no predictions"),
        ('{"text": "黄", "entities": []}', ":1", "key 'id' is missing"),
        ('{"id": "a", "entities": []}', ":1", "key 'text' is missing"),
        ('{"id": "a", "text": "黄", "entities": []}\n' * 2, ":2", "id 'a' also stands in line 1"),
        ('{"id": "a", "text": "黄", "entities": [{"start": 0, "end": 2, "type": "X"}]}', ":1", "span [0, 2)"),
        ('{"id": "a", "text": "黄", "entities": [], "problems": [{"kind": "bad"}]}', ":1", "'bad' is not a valid"),
        ('{"id": "a", "text": "黄", "entities": [], "ungrounded": [{"type": "X", "text": ""}]}', ":1", "is empty"),
        ('{"id": "a", "text": "黄", "entities": [], "ungrounded": 3}', ":1", "cannot be read"),
    ],
)
def test_wrong_predictions_are_errors(tmp_path: Path, content: str, where: str, says: str) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    assert caught.value.where == f"{path}{where}"
    assert says in caught.value.what
