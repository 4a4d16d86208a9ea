"""The raw files of the five projects are read as they are: every row, every answer, every entity counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from extune.data.readers import ReadResult, RowShape, read_examples
from extune.data.readers.unlabelled import iter_unlabelled
from extune.data.splits import SPLITS, read_split
from extune.domain.annotation import Answer, Fields
from extune.domain.task import ClassificationTask, GenerationTask
from extune.recipe.load import load_recipe
from extune.recipe.sections import ColumnsSection

GUESSED = "46 times: a mention occurs more often than it is named"


def read_as(recipe_name: str, path: Path, *overrides: str, on_bad_row: str = "skip") -> ReadResult:
    """A file with the columns and the task of a shipped recipe; wrong rows are listed, so that they can be counted."""
    recipe = load_recipe(recipe_name, *overrides)
    data = recipe.data
    shape = RowShape(data.columns, data.answer_format, data.nothing)
    return read_examples(path, task=recipe.task, shape=shape, reader=data.reader, on_bad_row=on_bad_row)


@pytest.mark.parametrize(
    ("name", "rows", "pieces"),
    [("train.jsonl", 600, 4245), ("dev.jsonl", 83, 608), ("test.jsonl", 150, 1084), ("all_sample.json", 100, 801)],
)
def test_dialogues(shared_data: Path, name: str, rows: int, pieces: int) -> None:
    path = shared_data / "imcs_dialogue" / name
    result = read_as("medical-dialogue", path)
    assert (len(result.examples), result.skipped) == (rows, ())
    text = path.read_text(encoding="utf-8")
    raw = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    for example, row in zip(result, raw, strict=True):
        assert example.text == row["dialogue_text"]
        wanted = {
            key: tuple(value) if isinstance(value, list) else value for key, value in row["extract_text"].items() if value
        }
        assert example.gold == Fields(wanted)
    verbatim = [piece for one in result for value in one.gold.values.values() if isinstance(value, tuple) for piece in value]
    assert len(verbatim) == pieces
    assert not [note for note in result.notes if "does not occur" in note or "mended" in note]


def test_the_fifty_fenced_dialogue_rows(shared_data: Path) -> None:
    result = read_as("medical-dialogue", shared_data / "imcs_dialogue" / "instruction_test.jsonl")
    assert (len(result.examples), result.skipped) == (50, ())
    assert sum(len(value) for one in result for value in one.gold.values.values() if isinstance(value, tuple)) == 372
    decided = [note for note in result.notes if " times: " in note]
    assert [note.split(" (first")[0] for note in decided] == ["9 times: field '辅助检查' says nothing and counts as absent"]
    assert {example.instruction for example in result} == {None}


def test_fifty_test_rows_are_taken_from_one_file(shared_data: Path) -> None:
    path = shared_data / "imcs_dialogue" / "all_sample.json"
    recipe = load_recipe("medical-dialogue", f"data.train={path}", "data.split={test: 50, seed: 1234}")
    sizes = [len(read_split(recipe.data, split, recipe.task).examples) for split in ("train", "test")]
    assert sizes == [50, 50]


def test_entity_lines(shared_data: Path) -> None:
    path = shared_data / "msra_ner" / "instruct_eval.jsonl"
    overrides = (
        "data.columns={instruction: instruct, text: query, answer: answer}",
        "data.answer_format=pairs",
        "data.reader=auto",
        "task.types=[人名, 地名, 机构名]",
    )
    result = read_as("msra-ner", path, *overrides)
    assert (len(result.examples), result.skipped) == (1000, ())
    assert sum(not example.gold.spans for example in result) == 656
    types = Counter(span.type for example in result for span in example.gold.spans)
    assert types == {"地名": 337, "人名": 164, "机构名": 110}
    (decided,) = [note for note in result.notes if " times: " in note]
    assert decided.startswith(GUESSED)


@pytest.mark.parametrize(("split", "rows"), [("train", 4000), ("test", 959)])
def test_news(shared_data: Path, split: str, rows: int) -> None:
    result = read_as("fudan-news", shared_data / "fudan_news" / f"{split}.jsonl")
    assert (len(result.examples), result.skipped) == (rows, ())
    assert all(2 <= len(one.candidates) <= 5 and one.gold.names[0] in one.candidates for one in result)
    assert not [note for note in result.notes if " times" in note]


@pytest.mark.parametrize(("name", "rows"), [("train", 7363), ("dev", 428), ("test", 867), ("infer", 5)])
def test_questions(shared_data: Path, name: str, rows: int) -> None:
    path = shared_data / "medical_qa" / f"{name}.json"
    result = read_as("medical-qa", path)
    assert (len(result.examples), result.skipped) == (rows, ())
    raw: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert [(one.text, one.gold) for one in result] == [(row["instruction"], Answer(row["output"])) for row in raw]
    assert [one.text for one in iter_unlabelled(path, GenerationTask())] == [one.text for one in result]


def test_titles_with_their_candidates(shared_data: Path) -> None:
    path = shared_data / "titles" / "thucnews_dev.jsonl"
    names = json.loads(path.read_text(encoding="utf-8").splitlines()[0])["labels"]
    task = ClassificationTask(label_names=dict.fromkeys(names, ""))
    result = read_examples(path, task=task, shape=RowShape(ColumnsSection(candidates=("labels",))))
    assert (len(result.examples), result.skipped) == (988, ())


def test_the_news_are_divided_by_class(shared_data: Path) -> None:
    path = shared_data / "fudan_news" / "train.jsonl"
    recipe = load_recipe("fudan-news", f"data.train={path}", "data.split={dev: 0.1, test: 200, stratify: true}")
    results = {split: read_split(recipe.data, split, recipe.task) for split in SPLITS}
    texts = {split: {example.text for example in result} for split, result in results.items()}
    assert sum(len(result.examples) for result in results.values()) == 4000
    assert len(set.union(*texts.values())) == sum(map(len, texts.values()))
    classes = Counter(example.gold.names[0] for example in results["dev"])
    assert abs(classes["Sports"] - 56.5) <= 2
