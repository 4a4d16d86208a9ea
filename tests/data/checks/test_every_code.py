"""Every finding that the doctor knows is injected by a seeded fault and found at its line, alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from tests.data.checks.doctored import EVALUATION_FAULTS, FAULTS, SPLITS, TASK, VOCABULARY, DataSet, FakeTokenizing, Row

from extune.data.checks.catalogue import KINDS
from extune.data.checks.doctor import examine
from extune.data.checks.tokens import Measured
from extune.domain.example import Example
from extune.domain.task import ExtractionTask
from extune.recipe.sections import DataSection

RARE = "CT检查"


class Wide(FakeTokenizing):
    """Two tokens a character."""

    def measure(self, example: Example, _split: str) -> Measured:
        return Measured(2 * len(example.text), 0, "kept", 0)


class Budget(FakeTokenizing):
    """Does with long texts what the recipe says."""

    def __init__(self, outcome: Literal["dropped", "windowed", "shortened"]) -> None:
        self.outcome: Literal["dropped", "windowed", "shortened"] = outcome

    def measure(self, example: Example, _split: str) -> Measured:
        return Measured(len(example.text), 0, self.outcome if len(example.text) > 100 else "kept", 0)


@dataclass
class Case:
    """A clean set on disk, to be broken."""

    data: DataSet
    folder: Path
    task: ExtractionTask = TASK
    tokenizing: FakeTokenizing = field(default_factory=FakeTokenizing)

    @property
    def random(self) -> random.Random:
        return self.data.random

    def write(self) -> DataSection:
        return self.data.write_jsonl(self.folder)

    def pick(self) -> tuple[str, int, Row]:
        """A split, the line of one of its rows, and the row."""
        split = self.random.choice(list(SPLITS))
        index, row = self.data.pick(split)
        return split, index + 1, row


Found = dict[tuple[str, str | None], list[int]]
Fault = Callable[[Case], tuple[DataSection, Found]]


def erase(case: Case, row: Row, name: str) -> None:
    """Put other characters where the mention of a type is, so that no label is missing."""
    (entity,) = (one for one in row["entities"] if one["type"] == name)
    row["entities"].remove(entity)
    text = row["text"]
    row["text"] = text[: entity["start"]] + case.data.filler(entity["end"] - entity["start"]) + text[entity["end"] :]


def keep_rare(count: int, *codes: str) -> Fault:
    """Leave `count` mentions of one type in train."""

    def inject(case: Case) -> tuple[DataSection, Found]:
        rows = [row for row in case.data.rows["train"] if isinstance(row, dict)]
        for row in case.random.sample(rows, len(rows) - count):
            erase(case, row, RARE)
        return case.write(), {(code, "train"): [] for code in codes}

    return inject


def empty_most(case: Case) -> tuple[DataSection, Found]:
    rows = [row for row in case.data.rows["train"] if isinstance(row, dict)]
    for row in case.random.sample(rows, 2 * len(rows) // 3 + 1):
        for name in VOCABULARY:
            erase(case, row, name)
    return case.write(), {("mostly-empty", "train"): []}


def name_what_is_not_there(case: Case) -> tuple[DataSection, Found]:
    split, line, row = case.pick()
    row["ungrounded"] = [{"type": "中药", "text": "人参"}]
    return case.write(), {("not-in-text", split): [line]}


def leave_unannotated(case: Case) -> tuple[DataSection, Found]:
    """As an annotation tool exports what nobody has looked at; the file is Prodigy's."""
    split, line, row = case.pick()
    for rows in case.data.rows.values():
        for one in rows:
            assert isinstance(one, dict)
            spans = [
                {"start": entity["start"], "end": entity["end"], "label": entity["type"]} for entity in one.pop("entities")
            ]
            one.update(spans=spans, answer="accept")
    del row["spans"], row["answer"]
    return case.write(), {("no-gold", split): [line]}


def change_length(outcome: Literal["dropped", "windowed", "shortened"]) -> Fault:
    def inject(case: Case) -> tuple[DataSection, Found]:
        split, line, row = case.pick()
        row["text"] += case.data.filler(100)
        case.tokenizing = Budget(outcome)
        return case.write(), {(outcome, split): [line]}

    return inject


def widen(case: Case) -> tuple[DataSection, Found]:
    case.tokenizing = Wide()
    return case.write(), {("high-fertility", split): [] for split in SPLITS}


def name_alike(case: Case) -> tuple[DataSection, Found]:
    case.task = ExtractionTask(types=dict.fromkeys([*VOCABULARY, "ＣＴ检查"], ""))
    return case.write(), {("names-alike", None): [], ("unseen-name", "train"): []}


def lose_train(case: Case) -> tuple[DataSection, Found]:
    return case.write().model_copy(update={"train": None}), {("no-train", None): []}


def lose_a_file(case: Case) -> tuple[DataSection, Found]:
    split = case.random.choice(list(SPLITS))
    section = case.write()
    (case.folder / f"{split}.jsonl").unlink()
    return section, {("unreadable-file", split): []}


def empty_a_file(case: Case) -> tuple[DataSection, Found]:
    split = case.random.choice(list(SPLITS))
    section = case.write()
    (case.folder / f"{split}.jsonl").write_bytes(b"")
    return section, {("no-examples", split): []}


def begin_inside(case: Case) -> tuple[DataSection, Found]:
    """Token-label columns in which one entity begins with I-."""
    broken, section = case.random.choice(list(SPLITS)), {}
    found: Found = {}
    for split, rows in case.data.rows.items():
        lines: list[str] = []
        victim = case.random.randrange(len(rows)) if split == broken else None
        for number, row in enumerate(rows):
            assert isinstance(row, dict)
            labels = ["O"] * len(row["text"])
            for one in row["entities"]:
                labels[one["start"]] = f"B-{one['type']}"
                labels[one["start"] + 1 : one["end"]] = [f"I-{one['type']}"] * (one["end"] - one["start"] - 1)
            if number == victim:
                place = case.random.choice(row["entities"])["start"]
                labels[place] = "I" + labels[place][1:]
                found["illegal-bio", split] = [len(lines) + place + 1]
            lines += [f"{token}\t{label}" for token, label in zip(row["text"], labels, strict=True)] + [""]
        path = case.folder / f"{split}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        section[split] = str(path)
    return DataSection(**section), found


OTHER_FAULTS: dict[str, Fault] = {
    "illegal-bio": begin_inside,
    "not-in-text": name_what_is_not_there,
    "no-gold": leave_unannotated,
    "dropped": change_length("dropped"),
    "windowed": change_length("windowed"),
    "shortened": change_length("shortened"),
    "high-fertility": widen,
    "names-alike": name_alike,
    "no-train": lose_train,
    "unreadable-file": lose_a_file,
    "no-examples": empty_a_file,
    "unseen-name": keep_rare(0, "unseen-name"),
    "rare-name": keep_rare(5, "rare-name"),
    "imbalance": keep_rare(4, "rare-name", "imbalance"),
    "mostly-empty": empty_most,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("code", OTHER_FAULTS)
def test_a_fault_is_found_at_its_line_and_nothing_else_is(tmp_path: Path, code: str, seed: int) -> None:
    case = Case(DataSet(seed), tmp_path)
    section, expected = OTHER_FAULTS[code](case)
    assert code in {one for one, _ in expected}
    report = examine(section, case.task, case.tokenizing)
    assert {(one.code, one.split): list(one.lines) for one in report} == expected
    for finding in report:
        split = None if finding.split is None else getattr(section, finding.split)
        assert [finding.locate(place) for place in finding.places] == [
            finding.file if place.line is None else f"{split}:{place.line}" for place in finding.places
        ]


def test_every_code_of_the_catalogue_is_injected() -> None:
    data = DataSet(1)
    for inject in (FAULTS | EVALUATION_FAULTS).values():
        inject(data, "dev")
    assert {code for code, _ in data.expected} | OTHER_FAULTS.keys() == KINDS.keys()


def test_the_clean_set_has_no_finding_in_either_shape(tmp_path: Path) -> None:
    case = Case(DataSet(3), tmp_path)
    section, found = begin_inside(case)
    ((_, split), (line,)) = next(iter(found.items()))
    path = tmp_path / f"{split}.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[line - 1] = lines[line - 1].replace("\tI-", "\tB-")
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    assert examine(section, TASK, FakeTokenizing()).findings == ()
    assert json.loads(json.dumps(examine(case.write(), TASK, FakeTokenizing()).to_json()))["findings"] == []
