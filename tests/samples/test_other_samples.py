"""Dialogues, news and questions: their shapes, separate splits, verbatim fields; all samples come back byte for byte."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from tools.samples import dialogues, news, news_templates, qa
from tools.samples.__main__ import build_files
from tools.samples.filling import skeleton

from extune.recipe.shipped import resolve_data_path

SPLITS = ("train", "dev", "test")
SAMPLES = resolve_data_path("sample:")


def read_rows(name: str, split: str) -> list[dict[str, Any]]:
    if name == "qa":
        rows: list[dict[str, Any]] = json.loads((SAMPLES / name / f"{split}.json").read_text(encoding="utf-8"))
        return rows
    return [json.loads(line) for line in (SAMPLES / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_generator_writes_the_shipped_bytes() -> None:
    shipped = {
        path.relative_to(SAMPLES).as_posix(): path.read_bytes().decode("utf-8") for path in SAMPLES.rglob("*") if path.is_file()
    }
    assert build_files() == shipped


def test_another_seed_gives_other_rows() -> None:
    first, second = build_files(1), build_files(2)
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] == second[path]] == ["README.md"]


def test_the_samples_say_that_they_are_synthetic_and_stay_small() -> None:
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert "Synthetic" in readme
    assert "合成" in readme
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*")) < 2_500_000


@pytest.mark.parametrize(
    ("name", "key", "sizes"),
    [("dialogues", "dialogue_text", dialogues.SIZES), ("news", "text", news.SIZES), ("qa", "input", qa.SIZES)],
)
def test_sizes_and_no_text_twice(name: str, key: str, sizes: dict[str, int]) -> None:
    rows = {split: read_rows(name, split) for split in SPLITS}
    assert {split: len(found) for split, found in rows.items()} == sizes
    texts = [row[key] for found in rows.values() for row in found]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        pytest.param(
            *([ways for stage in dialogues.TURNS[split].values() for ways in stage] for split in ("train", "test")),
            id="dialogues",
        ),
        pytest.param(
            *([text for texts in news_templates.TEMPLATES[split].values() for text in texts] for split in ("train", "test")),
            id="news",
        ),
        pytest.param(*([question for question, _ in qa.TEMPLATES[split]] for split in ("train", "test")), id="qa"),
    ],
)
def test_templates_of_test_are_not_those_of_train(train: list[str], test: list[str]) -> None:
    assert not {skeleton(template) for template in train} & {skeleton(template) for template in test}


@pytest.mark.parametrize("split", SPLITS)
def test_records_have_eight_fields_and_verbatim_values(split: str) -> None:
    for row in read_rows("dialogues", split):
        assert set(row) == {"dialogue_text", "extract_text"}
        record = row["extract_text"]
        assert tuple(record) == dialogues.VERBATIM_FIELDS + dialogues.TEXT_FIELDS
        for field in dialogues.VERBATIM_FIELDS:
            assert all(value and value in row["dialogue_text"] for value in record[field])
            assert len(set(record[field])) == len(record[field])
        assert all(isinstance(record[field], str) for field in dialogues.TEXT_FIELDS)
        assert all(line.startswith(("医生: ", "患者: ")) for line in row["dialogue_text"].splitlines())


@pytest.mark.parametrize("split", SPLITS)
def test_each_record_field_is_filled_somewhere_and_lists_are_empty_somewhere(split: str) -> None:
    records = [row["extract_text"] for row in read_rows("dialogues", split)]
    assert all(any(record[field] for record in records) for field in records[0])
    assert all(any(not record[field] for record in records) for field in (*dialogues.VERBATIM_FIELDS, "辅助检查"))


@pytest.mark.parametrize("split", SPLITS)
def test_news_classes_are_even(split: str) -> None:
    counts = Counter(row["label"] for row in read_rows("news", split))
    assert set(counts) == set(news.LABEL_NAMES)
    assert len(counts) == 8
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_questions_have_the_three_keys(split: str) -> None:
    for row in read_rows("qa", split):
        assert list(row) == ["instruction", "input", "output"]
        assert all(row.values())
