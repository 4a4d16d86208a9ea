"""`extune.read_examples` takes labelled and unlabelled files."""

from __future__ import annotations

from pathlib import Path

import pytest

import extune
from extune.domain.task import GenerationTask
from extune.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "labelled"),
    [
        ("a.jsonl", '{"text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "中药"}]}\n', True),
        ("a.txt", "黄 B-中药\n芪 I-中药\n", True),
        ("a.jsonl", '{"text": "黄芪"}\n', False),
        ("a.csv", "text\n黄芪\n", False),
        ("a.json", '[{"text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "中药"}]}]', True),
        ("a.json", '[{"text": "黄芪", "output": "x"}]', False),
        ("a.json", '[{"text": "黄芪", "entities": [{"start_idx": 0, "end_idx": 1, "type": "中药", "entity": "黄芪"}]}]', True),
        ("a.jsonl", '{"text": "黄芪", "label": [[0, 2, "中药"]]}', True),
    ],
)
def test_labelled_or_not(tmp_path: Path, name: str, content: str, labelled: bool) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    (example,) = extune.read_examples(str(path))
    assert example.text == "黄芪"
    assert example.gold == (extune.Extraction((extune.Span("中药", "黄芪", 0, 2),)) if labelled else None)


@pytest.mark.parametrize("content", ["", "not JSON\n", "[1]\n", '{"txt": "黄芪"}\n'])
def test_neither(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        list(extune.read_examples(path))


def test_a_task_asks_for_its_gold(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,answer\n黄芪,补气\n", encoding="utf-8")
    (example,) = extune.read_examples(path, GenerationTask())
    assert example.gold == extune.Answer("补气")
