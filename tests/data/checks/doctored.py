"""A clean, seeded data set for the data doctor, and one way to inject each fault, with the place that must be reported."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extune.data.checks.tokens import Measured
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.task import ExtractionTask
from extune.errors import DataError, FormatError
from extune.recipe.sections import DataSection

VOCABULARY = {
    "中药": ("黄芪", "当归", "桂枝", "茯苓", "白术"),
    "症状": ("头痛", "乏力", "咳嗽", "发热", "失眠"),
    "CT检查": ("胸部平扫", "腹部增强", "颅脑薄层"),
}
TASK = ExtractionTask(types=dict.fromkeys(VOCABULARY, ""))
SPLITS = {"train": 240, "dev": 40, "test": 40}
_FILLER = [chr(code) for code in range(0x5E00, 0x6200) if chr(code) not in "".join(sum(VOCABULARY.values(), ()))]
LOST, TOO_LONG = "☃", 300
Row = dict[str, Any]


class FakeTokenizing:
    """One token a character; cannot hold crossing spans, more than 300 characters, or a snowman."""

    def measure(self, example: Example, _split: str) -> Measured:
        if len(example.text) > TOO_LONG:
            raise DataError(f"the prompt has {len(example.text)} tokens")
        spans = example.gold.spans if isinstance(example.gold, Extraction) else ()
        if any(one.start < two.start < one.end < two.end for one in spans for two in spans):
            raise FormatError("spans cross")
        return Measured(len(example.text), len(example.text) + 10, "kept", 0)

    def round_trip(self, text: str) -> str:
        return text.replace(LOST, "")


@dataclass
class DataSet:
    """Rows by split; a row that is a string is written as it stands. `expected` maps code and split to lines."""

    seed: int
    rows: dict[str, list[Row | str]] = field(default_factory=dict)
    expected: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    used: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.rows = {split: [self.make_row() for _ in range(count)] for split, count in SPLITS.items()}

    def make_row(self) -> Row:
        """A text of random characters and a mention of each type, all labelled."""
        text, entities = self.filler(8), []
        for name, words in self.random.sample(list(VOCABULARY.items()), len(VOCABULARY)):
            word = self.random.choice(words)
            entities.append({"start": len(text), "end": len(text) + len(word), "type": name, "text": word})
            text += word + self.filler(8)
        return {"text": text, "entities": entities}

    def filler(self, length: int) -> str:
        return "".join(self.random.choices(_FILLER, k=length))

    def pick(self, split: str) -> tuple[int, Row]:
        """A row that no fault has touched yet, and its index."""
        index = self.random.choice([i for i in range(SPLITS[split]) if (split, i) not in self.used])
        self.used.add((split, index))
        row = self.rows[split][index]
        assert isinstance(row, dict)
        return index, row

    def insert(self, split: str, row: Row) -> int:
        """Append a row; its index."""
        self.rows[split].append(row)
        return len(self.rows[split]) - 1

    def expect(self, code: str, split: str, index: int) -> None:
        self.expected[code, split].add(index + 1)

    def write_jsonl(self, folder: Path) -> DataSection:
        for split, rows in self.rows.items():
            lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        return DataSection(**{split: str(folder / f"{split}.jsonl") for split in self.rows})


def copy(row: Row) -> Row:
    return json.loads(json.dumps(row))


def break_json(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    data.rows[split][index] = json.dumps(row, ensure_ascii=False)[:-3]
    data.expect("bad-row", split, index)


def lose_a_key(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    del row["entities"]
    data.expect("bad-row", split, index)


def shift_a_span(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["entities"][0]["start"] += 1
    row["entities"][0]["end"] += 1
    data.expect("span-mismatch", split, index)


def leave_the_text(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["entities"][-1]["end"] = len(row["text"]) + 1
    data.expect("span-outside", split, index)


def repeat_a_span(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["entities"].append(copy(row["entities"][0]))
    data.expect("span-twice", split, index)


def tear_a_span(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["entities"][0]["start"] = [row["entities"][0]["start"]]
    data.expect("discontinuous", split, index)


def repeat_an_id(data: DataSet, split: str) -> None:
    first, one = data.pick(split)
    second, two = data.pick(split)
    one["id"] = two["id"] = "same"
    data.expect("duplicate-id", split, max(first, second))


def rename(name: str, code: str) -> Callable[[DataSet, str], None]:
    def inject(data: DataSet, split: str) -> None:
        index, row = data.pick(split)
        next(one for one in row["entities"] if one["type"] == "CT检查")["type"] = name
        data.expect(code, split, index)

    return inject


def blank_a_text(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row.update(text=" " * len(split) + "\u3000" * len(data.rows[split]), entities=[])
    data.expect("blank-text", split, index)


def add_span(code: str, place: Callable[[Row], tuple[int, int]], *more: str) -> Callable[[DataSet, str], None]:
    def inject(data: DataSet, split: str) -> None:
        index, row = data.pick(split)
        start, end = place(row)
        name = "症状" if row["entities"][0]["type"] != "症状" else "中药"
        row["entities"].append({"start": start, "end": end, "type": name})
        for one in (code, *more):
            data.expect(one, split, index)

    return inject


def first_span(row: Row) -> tuple[int, int]:
    return row["entities"][0]["start"], row["entities"][0]["end"]


def repeat_a_row(data: DataSet, split: str) -> None:
    _, row = data.pick(split)
    data.expect("duplicate", split, data.insert(split, copy(row)))


def contradict_a_row(data: DataSet, split: str) -> None:
    _, row = data.pick(split)
    other = copy(row)
    other["entities"][0]["type"] = "症状" if row["entities"][0]["type"] != "症状" else "中药"
    data.expect("contradiction", split, data.insert(split, other))


def leak(code: str, source: str, target: str) -> Callable[[DataSet, str], None]:
    """Copy a row of `source` into `target`; the place is that of the split that is scored."""

    def inject(data: DataSet, _split: str) -> None:
        index, row = data.pick(source)
        inserted = data.insert(target, copy(row))
        data.expect(code, *((source, index) if target == "train" else (target, inserted)))

    return inject


def leak_almost(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    other = copy(row)
    other["text"] = data.random.choice(_FILLER) + row["text"][1:]  # the first characters belong to no span
    assert other["text"] != row["text"]
    data.insert("train", other)
    data.expect("near-leak", split, index)


def forget_a_label(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["entities"].pop(data.random.randrange(3))
    data.expect("missed-repeat", split, index)


def lengthen_a_text(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["text"] += data.filler(TOO_LONG)
    data.expect("too-long", split, index)


def lose_a_character(data: DataSet, split: str) -> None:
    index, row = data.pick(split)
    row["text"] += LOST
    data.expect("lost-characters", split, index)


FAULTS: dict[str, Callable[[DataSet, str], None]] = {
    "broken JSON": break_json,
    "missing key": lose_a_key,
    "shifted span": shift_a_span,
    "span outside": leave_the_text,
    "span twice": repeat_a_span,
    "torn span": tear_a_span,
    "id twice": repeat_an_id,
    "full-width name": rename("ＣＴ检查", "name-variant"),
    "misspelt name": rename("CT检察", "name-typo"),
    "foreign name": rename("城市", "unknown-name"),
    "blank text": blank_a_text,
    "nested": add_span("nested-spans", lambda row: (first_span(row)[0], first_span(row)[1] - 1)),
    "crossing": add_span("crossing-spans", lambda row: (first_span(row)[1] - 1, first_span(row)[1] + 1), "unrepresentable"),
    "two types": add_span("same-place", first_span),
    "duplicate": repeat_a_row,
    "contradiction": contradict_a_row,
    "test in train": leak("leak", "test", "train"),
    "dev in train": leak("leak", "dev", "train"),
    "dev in test": leak("dev-overlap", "dev", "test"),
    "missed label": forget_a_label,
    "too long": lengthen_a_text,
    "lost character": lose_a_character,
}
EVALUATION_FAULTS = {"near leak": leak_almost}
