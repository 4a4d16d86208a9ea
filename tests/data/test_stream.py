"""Rows that are streamed are the rows that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from extune.data.readers import read_examples
from extune.data.splits import SPLITS
from extune.data.stream import open_stream
from extune.domain.example import Example
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.recipe.sections import DataSection, SplitSection

TASK = ExtractionTask(types={"药": ""})
FILES = {
    "rows.jsonl": '{"text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "药"}]}\n\nno\n'
    '{"id": 7, "text": "\u2028", "entities": []}',
    "rows.txt": "黄 B-药\r\n芪 I-药\r\n\r\n\u3000 O\n芪 I-药\n\n-DOCSTART- O\n\n归\u2028 B-药",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", FILES)
def test_a_stream_gives_what_the_reader_reads(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding=encoding, newline="")
    read = read_examples(path, task=TASK, on_bad_row="skip")
    stream = open_stream(DataSection(train=str(path)), "train", TASK)
    for _ in range(2):  # as often as it is asked for
        rows = list(stream.rows())
        assert tuple(row for row in rows if isinstance(row, Example)) == read.examples
        wrong = [(row.line, row.what, row.code) for row in rows if not isinstance(row, Example)]
        assert wrong == [(row.line, row.reason, row.code) for row in read.skipped]
        assert wrong


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"\xff\xfe\xff\x81\xff")
    with pytest.raises(DataError, match="byte"):
        open_stream(DataSection(train=str(path)), "train", TASK)


ROWS = "".join(f'{{"text": "黄芪{number}", "entities": [{{"start": 0, "end": 2, "type": "药"}}]}}\n' for number in range(20))


def test_parts_of_a_file_are_streamed_as_they_are_divided(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(ROWS + "no\n", encoding="utf-8")
    data = DataSection(train=str(path), split=SplitSection(dev=3, test=5))
    rows = {split: list(open_stream(data, split, TASK).rows()) for split in SPLITS}
    texts = {split: [row.text for row in found if isinstance(row, Example)] for split, found in rows.items()}
    assert {split: len(found) for split, found in texts.items()} == {"train": 12, "dev": 3, "test": 5}
    assert sorted(text for found in texts.values() for text in found) == sorted(
        example.text for example in read_examples(path, on_bad_row="skip")
    )
    wrong = {split: [row.line for row in found if not isinstance(row, Example)] for split, found in rows.items()}
    assert wrong == {"train": [21], "dev": [], "test": []}  # once, not once for each part


def test_wrong_rows_of_a_folder_name_their_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(ROWS, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("no\n" + ROWS, encoding="utf-8")
    stream = open_stream(DataSection(train=str(tmp_path)), "train", TASK)
    rows = list(stream.rows())
    assert [row.source.line for row in rows if isinstance(row, Example) and row.source is not None] == [*range(1, 41)]
    assert [row.what[:12] for row in rows if not isinstance(row, Example)] == ["in b.jsonl: "]


@pytest.mark.parametrize(("name", "settings"), [("a.jsonl", {"split": {"dev": 3}}), ("a.csv", {}), ("", {})])
def test_what_cannot_be_rewritten_line_by_line_says_why(tmp_path: Path, name: str, settings: dict[str, object]) -> None:
    (tmp_path / (name or "a.jsonl")).write_text(ROWS if name != "a.csv" else "text,entities\n黄芪,[]\n", encoding="utf-8")
    data = DataSection.model_validate({"train": str(tmp_path / name), **settings})
    assert open_stream(data, "train", TASK).not_lines
    assert not open_stream(DataSection(train=str(_plain(tmp_path))), "train", TASK).not_lines


def _plain(folder: Path) -> Path:
    path = folder / "plain.jsonl"
    path.write_text(ROWS, encoding="utf-8")
    return path
