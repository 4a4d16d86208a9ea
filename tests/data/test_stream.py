"""Rows that are streamed are the rows that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from extune.data.readers import read_examples
from extune.data.stream import open_stream
from extune.domain.example import Example
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.recipe.sections import DataSection

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
