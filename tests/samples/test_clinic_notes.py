"""The clinic-notes sample keeps its promises: exact offsets, separate splits, and a task that a look-up cannot solve."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from tools.samples.clinic_notes import SIZES, TYPES, choose_templates
from tools.samples.filling import expansions, skeleton
from tools.samples.lexicon import PART_PATTERN
from tools.samples.note_templates import TEST, TRAIN

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.evaluation.lookups import Gazetteer
from extune.recipe.shipped import resolve_data_path

Row = dict[str, Any]
SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    files = {split: resolve_data_path(f"sample:clinic-notes/{split}.jsonl") for split in SPLITS}
    return {
        split: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for split, path in files.items()
    }


def examples(rows: list[Row]) -> list[Example]:
    return [Example(row["id"], row["text"], Extraction(tuple(spans(row)))) for row in rows]


def spans(row: Row) -> list[Span]:
    return [Span(entity["type"], entity["text"], entity["start"], entity["end"]) for entity in row["entities"]]


def mentions(rows: list[Row]) -> list[str]:
    return [entity["text"] for row in rows for entity in row["entities"]]


def test_sizes_and_ids(rows: dict[str, list[Row]]) -> None:
    assert {split: len(found) for split, found in rows.items()} == SIZES
    ids = [row["id"] for found in rows.values() for row in found]
    assert len(set(ids)) == len(ids)


def test_offsets_read_what_the_entity_says(rows: dict[str, list[Row]]) -> None:
    # Example refuses a span that the text does not hold; Extraction refuses one that stands twice.
    assert sum(len(examples(found)) for found in rows.values()) == sum(SIZES.values())


def test_strings_alone_determine_the_offsets(rows: dict[str, list[Row]]) -> None:
    for row in (row for found in rows.values() for row in found):
        counts = Counter((entity["type"], entity["text"]) for entity in row["entities"])
        assert all(row["text"].count(text) == count for (_, text), count in counts.items()), row["id"]


def test_no_text_stands_in_two_splits_or_twice(rows: dict[str, list[Row]]) -> None:
    texts = [row["text"] for found in rows.values() for row in found]
    assert len(set(texts)) == len(texts)


def test_templates_of_test_are_not_those_of_train() -> None:
    train, test = (
        {skeleton(expanded) for section in split.values() for template in section for expanded in expansions(template)}
        for split in (TRAIN, TEST)
    )
    assert len(train) > 1_000
    assert not train & test


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_draws_only_its_own_templates(split: str) -> None:
    own = {template for section in (TEST if split == "test" else TRAIN).values() for template in section}
    random = Random(5)
    assert {template for _ in range(500) for template in choose_templates(random, split)} <= own


@pytest.mark.parametrize("split", SPLITS)
def test_every_type_occurs_at_least_thirty_times(split: str, rows: dict[str, list[Row]]) -> None:
    counts = Counter(entity["type"] for row in rows[split] for entity in row["entities"])
    assert set(counts) == set(TYPES)
    assert min(counts.values()) >= 30


def test_no_string_has_two_types(rows: dict[str, list[Row]]) -> None:
    types: dict[str, set[str]] = {}
    for row in (row for found in rows.values() for row in found):
        for entity in row["entities"]:
            types.setdefault(entity["text"], set()).add(entity["type"])
    assert [text for text, names in types.items() if len(names) > 1] == []


def test_every_body_part_outside_a_drug_is_marked(rows: dict[str, list[Row]]) -> None:
    for row in (row for found in rows.values() for row in found):
        drugs = [span for span in spans(row) if span.type == "药物"]
        found = {
            (match.start(), match.end())
            for match in PART_PATTERN.finditer(row["text"])
            if not any(drug.start < match.end() and match.start() < drug.end for drug in drugs)
        }
        assert found == {(span.start, span.end) for span in spans(row) if span.type == "部位"}, row["id"]


def test_mentions_nest_but_never_cross(rows: dict[str, list[Row]]) -> None:
    nested = 0
    for row in (row for found in rows.values() for row in found):
        found = Extraction(tuple(spans(row))).spans
        for place, outer in enumerate(found):
            for inner in (span for span in found[place + 1 :] if span.overlaps(outer)):
                assert inner.end <= outer.end, row["id"]
                assert inner.type == "部位", row["id"]
                nested += 1
    assert nested > 500


@pytest.mark.parametrize("split", SPLITS)
def test_variety(split: str, rows: dict[str, list[Row]]) -> None:
    found = rows[split]
    share = {
        "without any mention": sum(not row["entities"] for row in found) / len(found),
        "with a repeated mention": sum(max(Counter(mentions([row])).values(), default=0) > 1 for row in found) / len(found),
        "longer than 120": sum(len(row["text"]) > 120 for row in found) / len(found),
    }
    assert all(value >= 0.04 for value in share.values()), share


def test_at_least_two_fifths_of_the_test_mentions_are_new(rows: dict[str, list[Row]]) -> None:
    seen = set(mentions(rows["train"]))
    test = mentions(rows["test"])
    assert sum(text not in seen for text in test) / len(test) >= 0.4


def test_a_gazetteer_stays_below_three_fifths(rows: dict[str, list[Row]]) -> None:
    gazetteer = Gazetteer.fit(examples(rows["train"]))
    hits = predicted = gold = 0
    for example in examples(rows["test"]):
        assert isinstance(example.gold, Extraction)
        found = {span.key for span in gazetteer.predict(example.text).spans}
        hits += len(found & {span.key for span in example.gold.spans})
        predicted += len(found)
        gold += len(example.gold.spans)
    assert 2 * hits / (predicted + gold) <= 0.6
