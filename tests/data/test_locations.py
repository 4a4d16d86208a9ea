"""What `data.train` may name: folders, data sets of a hub, entries of a dataset_info.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import huggingface_hub
import pytest

from extune.data.readers.hubs import parse_hub_name
from extune.data.splits import find_split, read_file, read_split
from extune.domain.annotation import Answer
from extune.domain.task import GenerationTask
from extune.errors import DataError
from extune.recipe.sections import DataSection

CHAT = GenerationTask()


def put(path: Path, *texts: str, **more: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps({"text": text, "answer": "a", **more}) for text in texts), encoding="utf-8")
    return path


def texts(data: DataSection, split: str) -> list[str]:
    return [example.text for example in read_split(data, split, CHAT)]


def test_a_folder_is_read_by_name_order_and_other_files_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "b.jsonl", "2")
    put(tmp_path / "a.jsonl", "1", "1b")
    put(tmp_path / "sub" / "a.jsonl", "3")
    put(tmp_path / ".cache" / "c.jsonl", "never")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "dataset_info.json").write_text("{}")
    result = read_split(DataSection(train=str(tmp_path)), "train", CHAT)
    assert [example.text for example in result] == ["1", "1b", "2", "3"]
    assert [example.id for example in result] == ["a-1", "a-2", "b-1", "sub/a-1"]
    assert result.notes[0] == f"read a.jsonl, b.jsonl, {Path('sub/a.jsonl')}"
    assert "2 other file(s) not read, the first is README.md" in result.notes


def test_of_a_folder_with_splits_only_the_split_is_read(tmp_path: Path) -> None:
    put(tmp_path / "data" / "train-00000-of-00002.jsonl", "1")
    put(tmp_path / "data" / "train-00001-of-00002.jsonl", "2")
    put(tmp_path / "data" / "validation.jsonl", "3")
    data = DataSection(train=str(tmp_path), dev=str(tmp_path), test=str(tmp_path))
    assert (texts(data, "train"), texts(data, "dev")) == (["1", "2"], ["3"])
    with pytest.raises(DataError, match="holds no file named for test"):
        texts(data, "test")
    assert [example.text for example in read_file(data, tmp_path, CHAT)] == ["1", "2", "3"]


def test_wrong_rows_of_a_folder_name_their_file_and_ids_stay_unique(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", "1")
    (tmp_path / "b.jsonl").write_text('{"text": "x", "answer": "a"}\n{"text": 3}')
    result = read_split(DataSection(train=str(tmp_path), on_bad_row="skip"), "train", CHAT)
    assert [(row.line, row.reason.startswith("in b.jsonl: ")) for row in result.skipped] == [(2, True)]
    put(tmp_path / "b.jsonl", "2", id="a-1")
    with pytest.raises(DataError, match="id 'a-1' also stands at"):
        texts(DataSection(train=str(tmp_path)), "train")


def test_a_folder_without_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("x")
    with pytest.raises(DataError, match="holds no data file"):
        texts(DataSection(train=str(tmp_path)), "train")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("hf:org/name", ("hf", "org/name", None, None)),
        ("hf:name@v1", ("hf", "name", "v1", None)),
        ("modelscope:org/na.me@main:data/train.jsonl", ("modelscope", "org/na.me", "main", "data/train.jsonl")),
        ("data/train.jsonl", None),
        (r"C:\train.jsonl", None),
    ],
)
def test_names_of_data_sets(value: str, parts: tuple[str | None, ...] | None) -> None:
    assert parse_hub_name(value) == parts


@pytest.mark.parametrize("value", ["hf:", "hf:a/b/c", "modelscope:a b", "hf:a@"])
def test_what_only_begins_like_one_is_an_error(value: str) -> None:
    with pytest.raises(DataError, match="cannot read"):
        parse_hub_name(value)


def test_a_data_set_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def snapshot(name: str, *, repo_type: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, repo_type, revision, "*.jsonl" in allow_patterns, "*.py" in allow_patterns))
        return str(tmp_path)

    def one_file(name: str, file: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((name, file, repo_type, revision))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", one_file)
    put(tmp_path / "train.jsonl", "1")
    put(tmp_path / "test.jsonl", "2")
    assert texts(DataSection(train="hf:org/name@v1", test="hf:org/name:test.jsonl"), "train") == ["1"]
    assert texts(DataSection(train="hf:org/name@v1", test="hf:org/name:test.jsonl"), "test") == ["2"]
    assert asked == [("org/name", "dataset", "v1", True, False), ("org/name", "test.jsonl", "dataset", None)]


def test_a_data_set_of_modelscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("modelscope", "modelscope.hub"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    files, snapshots = ModuleType("files"), ModuleType("snapshots")
    files.dataset_file_download = lambda _, part, **__: str(tmp_path / part)
    snapshots.dataset_snapshot_download = lambda *_, **__: str(tmp_path)
    monkeypatch.setitem(sys.modules, "modelscope.hub.file_download", files)
    monkeypatch.setitem(sys.modules, "modelscope.hub.snapshot_download", snapshots)
    put(tmp_path / "sub" / "train.jsonl", "1")
    assert texts(DataSection(train="modelscope:org/name:sub/train.jsonl"), "train") == ["1"]
    assert find_split(DataSection(train="modelscope:org/name:sub"), "train") == tmp_path / "sub"


def test_a_missing_library_and_a_missing_data_set_say_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(DataError, match="needs modelscope") as caught:
        find_split(DataSection(train="modelscope:org/name"), "train")
    assert caught.value.fix == "pip install 'extune[modelscope]'"

    def unreachable(*_: object, **__: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(DataError, match="cannot be downloaded: OSError: no route to host") as caught:
        find_split(DataSection(train="hf:org/name"), "train")
    assert isinstance(caught.value.__cause__, OSError)


def info(place: Path, /, **entry: Any) -> DataSection:
    (place / "dataset_info.json").write_text(json.dumps({"mine": entry}), encoding="utf-8")
    return DataSection(train=f"{place / 'dataset_info.json'}:mine")


def test_an_alpaca_entry(tmp_path: Path) -> None:
    row = {"frage": "翻译", "text_col": "黄芪", "antwort": "乙", "alt": [["一", "二"]], "sys": "你是医生"}
    (tmp_path / "d.json").write_text(json.dumps([row]), encoding="utf-8")
    columns = {"prompt": "frage", "query": "text_col", "response": "antwort", "history": "alt", "system": "sys"}
    (example,) = read_split(info(tmp_path, file_name="d.json", columns=columns), "train", CHAT)
    assert (example.text, example.instruction, example.history) == ("黄芪", "你是医生\n翻译", (("一", "二"),))
    assert example.gold == Answer("乙")


def test_a_sharegpt_entry_with_tags(tmp_path: Path) -> None:
    turns = [{"role": "患者", "content": "问"}, {"role": "医生", "content": "答"}]
    (tmp_path / "d.jsonl").write_text(json.dumps({"chat": turns}), encoding="utf-8")
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "患者", "assistant_tag": "医生"}
    data = info(tmp_path, file_name="d.jsonl", formatting="sharegpt", columns={"messages": "chat"}, tags=tags)
    (example,) = read_split(data, "train", CHAT)
    assert (example.text, example.gold) == ("问", Answer("答"))


def test_an_entry_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(tmp_path / name))
    assert find_split(info(tmp_path, hf_hub_url="org/name", folder="zh"), "train") == tmp_path / "org" / "name" / "zh"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"file_name": "d.json", "ranking": True}, "asks for ranking"),
        ({"script_url": "x"}, "asks for script_url"),
        ({"file_name": "d.json", "columns": {"images": "i"}}, r"asks for columns\.images"),
        ({"file_name": "d.json", "formatting": "parrot"}, "asks for formatting: parrot"),
        ({}, "names no data"),
    ],
)
def test_an_entry_that_asks_for_more_is_refused(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        find_split(info(tmp_path, **entry), "train")


def test_an_unknown_entry_is_told_its_neighbour(tmp_path: Path) -> None:
    data = info(tmp_path, file_name="d.json")
    with pytest.raises(DataError, match="no entry 'mien', did you mean 'mine'"):
        find_split(DataSection(train=str(data.train).replace(":mine", ":mien")), "train")
