"""Texts without annotation: kinds of file, laziness, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from extune.data.readers.unlabelled import iter_unlabelled
from extune.errors import DataError


def read(folder: Path, name: str, content: str | bytes) -> list[tuple[str, str]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(example.id, example.text) for example in iter_unlabelled(path)]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.txt", "黄芪，补气\n桂枝汤"),
        ("rows.txt", "黄芪，补气\n桂枝汤\n"),
        ("rows.csv", "text\n黄芪，补气\n桂枝汤\n"),
        ("rows.csv", 'n,text\n1,"黄芪，补气"\n\n2,桂枝汤'),
        ("rows.jsonl", '{"text": "黄芪，补气"}\n\n{"text": "桂枝汤", "entities": []}'),
        ("rows.json", '[{"text": "黄芪，补气"},\n {"input": "桂枝汤", "output": "x"}]\n'),
        ("rows.json", '[{"instruction": "黄芪，补气", "input": ""}, {"text": ["桂枝汤"]}]'),
        ("rows.tsv", "text\tn\n黄芪，补气\t1\n桂枝汤\t\n"),
    ],
)
def test_every_kind_gives_the_same_texts(tmp_path: Path, name: str, content: str, end: str, codec: str) -> None:
    found = read(tmp_path, name, content.replace("\n", end).encode(codec))
    assert found == [("rows-1", "黄芪，补气"), ("rows-2", "桂枝汤")]


def test_blank_lines_of_a_txt_are_empty_texts_so_that_numbers_match(tmp_path: Path) -> None:
    assert read(tmp_path, "a.txt", "甲\n\n\u3000乙\u2028丙\n") == [("a-1", "甲"), ("a-2", ""), ("a-3", "\u3000乙\u2028丙")]


def test_ids_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "id,text\nx,甲\ny,乙\n") == [("x", "甲"), ("y", "乙")]
    assert read(tmp_path, "a.jsonl", '{"id": 5, "text": "甲"}\n{"text": "乙"}\n') == [("5", "甲"), ("a-2", "乙")]


def test_a_csv_text_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", 'text\r\n"甲, ""乙""\n丙"\r\n') == [("a-1", '甲, "乙"\n丙')]


def test_rows_are_read_when_their_turn_comes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "甲"}\n{"text": 3}\n', encoding="utf-8")
    rows = iter_unlabelled(path)
    assert next(rows).text == "甲"
    with pytest.raises(DataError, match='"text" is of type int'):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "where", "says"),
    [
        ("a.jsonl", '{"text": "甲"}\n{"txt": "乙"}\n', ":2", "has no text ('text' or 'input'); there are: 'txt'"),
        ("a.jsonl", '{"text": "甲"}\nnull\n', ":2", "is a JSON NoneType"),
        ("a.jsonl", '{"text": "甲"}\n{"text": \n', ":2", "not JSON at column"),
        ("a.jsonl", '{"text": "甲", "id": "x"}\n{"text": "乙", "id": "x"}\n', ":2", "id 'x' also stands in line 1"),
        ("a.jsonl", '{"text": "\\udc00"}\n', ":1", "half of a surrogate pair"),
        ("a.csv", "content\n甲\n", ":2", "has no text ('text' or 'input'); there are: 'content'"),
        ("a.csv", "id,text\n1,甲\n2,乙,丙\n", ":3", "has more columns"),
        ("a.csv", "id,text\n1,甲\n2\n", ":3", "has fewer columns"),
        ("a.csv", 'id,text\n1,甲\n2,"乙\n3,丙\n', ":3", "not CSV: unexpected end of data"),
        ("a.csv", "id,text\n1,甲\n1,乙\n", ":3", "id '1' also stands in line 2"),
        ("a.csv", "text\n", "", "holds no texts"),
        ("a.txt", "", "", "holds no texts"),
        ("a.jsonl", "\n\n", "", "holds no texts"),
        ("a.csv", "", "", "holds no texts"),
        ("a.docx", "甲", "", "unknown kind of file '.docx'"),
        ("a.txt", b"\xff\xff\xff", "", "neither UTF-8 nor GB18030"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, name: str, content: str | bytes, where: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, content)
    assert caught.value.where == f"{tmp_path / name}{where}"
    assert says in caught.value.what
    assert caught.value.expected
    assert caught.value.fix


def test_a_missing_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        iter_unlabelled(tmp_path / "none.txt")
