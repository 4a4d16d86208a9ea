"""The real data sets are read whole: every sentence, every entity, every ideographic space."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from extune.data.readers import ReadResult, read_examples
from extune.data.readers.unlabelled import iter_unlabelled
from extune.data.windows import assign_gold, merge_windows, split_windows
from extune.domain.annotation import Extraction


def count(result: ReadResult) -> tuple[int, int]:
    return len(result.examples), sum(len(example.gold.spans) for example in result)


@pytest.mark.parametrize(
    ("split", "sentences", "entities", "spaces"), [("train", 5259, 12634, 33), ("eval", 657, 1620, 0), ("test", 658, 1529, 0)]
)
def test_tcm(shared_data: Path, split: str, sentences: int, entities: int, spaces: int) -> None:
    path = shared_data / "tcm_ner" / f"medical_{split}.txt"
    result = read_examples(path)
    assert count(result) == (sentences, entities)
    assert sum(example.text.count("\u3000") for example in result) == spaces
    assert (result.encoding, result.skipped) == ("utf-8", ())
    assert len({span.type for example in result for span in example.gold.spans}) == 10
    lines = path.read_text(encoding="utf-8").split("\n")
    for example in result:
        raw = lines[example.source.line - 1 : example.source.line - 1 + len(example.text)]
        assert "".join(line[0] for line in raw) == example.text
        begins = {place for place, line in enumerate(raw) if line[2] == "B"}
        assert {span.start for span in example.gold.spans} == begins


@pytest.mark.parametrize(
    ("name", "rows", "entities"),
    [
        ("msra_ner/train.jsonl", 42000, 69869),
        ("msra_ner/dev.jsonl", 3000, 5190),
        ("msra_ner/test.jsonl", 3442, 6190),
        ("nested_ner/cmeee_dev.jsonl", 5000, 20300),
    ],
)
def test_spans_jsonl(shared_data: Path, name: str, rows: int, entities: int) -> None:
    result = read_examples(shared_data / name)
    assert count(result) == (rows, entities)
    assert (result.skipped, result.notes) == ((), ())
    for example, line in zip(result, (shared_data / name).read_bytes().splitlines(), strict=True):
        row = json.loads(line)
        assert example.text == row["text"]
        keys = {(e["start"], e["end"], e["type"], e["text"]) for e in row["entities"]}
        assert {(*span.key, span.text) for span in example.gold.spans} == keys


def test_labelled_texts_are_read_without_labels_too(shared_data: Path) -> None:
    path = shared_data / "msra_ner" / "dev.jsonl"
    labelled = [(example.id, example.text) for example in read_examples(path)]
    assert [(example.id, example.text) for example in iter_unlabelled(path)] == labelled


def test_windows_give_the_gold_back_that_is_no_longer_than_their_overlap(shared_data: Path) -> None:
    texts_cut = 0
    for example in read_examples(shared_data / "nested_ner" / "cmeee_dev.jsonl"):
        windows = split_windows(example.text, lambda piece: len(piece) <= 100, 25)
        short = Extraction(tuple(span for span in example.gold.spans if len(span.text) <= 25))
        golds = assign_gold(replace(example, gold=short), windows)
        merged, _ = merge_windows(example.text, [(window, gold, ()) for window, gold in zip(windows, golds, strict=True)])
        assert merged == short
        texts_cut += len(windows) > 1
    assert texts_cut > 400
