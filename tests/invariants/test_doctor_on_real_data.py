"""The data doctor on the TCM set agrees with a plain search, and what it calls a missed label is a string without label."""

from __future__ import annotations

from pathlib import Path

from tests.data.checks.doctored import FakeTokenizing

from extune.data.checks.doctor import examine
from extune.data.readers import read_examples
from extune.recipe.load import load_recipe


def test_tcm(shared_data: Path) -> None:
    files = {split: shared_data / "tcm_ner" / f"medical_{name}.txt" for split, name in
             (("train", "train"), ("dev", "eval"), ("test", "test"))}  # fmt: skip
    recipe = load_recipe("tcm-ner", *(f"data.{split}={path}" for split, path in files.items()))
    report = examine(recipe.data, recipe.task, FakeTokenizing())
    examples = {split: {one.source.line: one for one in read_examples(path)} for split, path in files.items()}
    lines = {(one.code, one.split): list(one.lines) for one in report}
    texts = {one.text for one in examples["train"].values()}
    for split in ("dev", "test"):
        assert lines["leak", split] == [line for line, one in examples[split].items() if one.text in texts]
        assert not set(lines["near-leak", split]) & set(lines["leak", split])
    misses = [one for one in report if one.code == "missed-repeat"]
    assert {one.split for one in misses} == set(files)
    for finding in misses:
        for place in finding.places:
            example = examples[finding.split][place.line]
            start = int(place.detail.split(" at ")[1].split(",")[0])
            end = start + len(place.quote)
            assert example.text[start:end] == place.quote
            assert not [span for span in example.gold.spans if span.start < end and start < span.end]
    assert not report.has_errors
    assert report.splits["train"].examples == len(examples["train"])
