"""A small data set and trained models that are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from extune.domain.annotation import Annotation, Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.recipe.load import load_recipe
from extune.recipe.sections import Recipe

DRUGS, SIGNS = ("黄芪", "当归", "桂枝", "白术", "甘草"), ("头痛", "乏力", "咳嗽", "发热")


def write_notes(path: Path, numbers: range) -> None:
    """Rows with a drug and a sign each."""
    rows = []
    for number in numbers:
        drug, sign = DRUGS[number % len(DRUGS)], SIGNS[number % len(SIGNS)]
        text = f"患者{sign}{number}日，服{drug}。"
        places = [(text.index(drug), "药"), (text.index(sign), "症")]
        entities = [{"start": start, "end": start + 2, "type": name} for start, name in places]
        rows.append(json.dumps({"id": f"n{number}", "text": text, "entities": entities}, ensure_ascii=False))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Forty training rows and six of dev."""
    write_notes(tmp_path / "train.jsonl", range(40))
    write_notes(tmp_path / "dev.jsonl", range(50, 56))
    file = tmp_path / "notes.yaml"
    file.write_text(
        f"""\
task: {{kind: extraction, types: [药, 症]}}
data: {{train: {tmp_path}/train.jsonl, dev: {tmp_path}/dev.jsonl}}
prompt: {{max_answer_tokens: 24}}
training: {{max_steps: 2, per_device_train_batch_size: 2, logging_steps: 1}}
""",
        encoding="utf-8",
    )
    return load_recipe(file)


@dataclass
class Told:
    """Lines that a study told."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def told() -> Told:
    return Told()


class KnowingJudge:
    """Finds every drug and sign by its string, and is surer of an annotation the fewer labels it has that it would not give."""

    def predict_many(self, examples: Iterable[Example]) -> list[Prediction]:
        return [Prediction(example.id, known(example.text), "") for example in examples]

    def can_write(self, _example: Example, _annotation: Annotation) -> bool:
        return True

    def score(self, questions: Sequence[tuple[Example, Sequence[Annotation]]]) -> list[tuple[float, ...]]:
        return [
            tuple(-float(len(self.own(example.text) ^ self.labels(one))) for one in annotations)
            for example, annotations in questions
        ]

    def own(self, text: str) -> set[Span]:
        return set(known(text).spans)

    def labels(self, annotation: Annotation) -> set[Span]:
        assert isinstance(annotation, Extraction)
        return set(annotation.spans)


def known(text: str) -> Extraction:
    """The annotation without mistakes."""
    found = [(name, word) for name, words in (("药", DRUGS), ("症", SIGNS)) for word in words if word in text]
    return Extraction(tuple(Span(name, word, text.index(word), text.index(word) + 2) for name, word in found))
