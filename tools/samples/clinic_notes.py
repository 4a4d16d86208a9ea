"""Clinic notes with typed spans. Out: rows `{"id", "text", "entities"}` per split, deterministic by seed.

The rules of annotation, the same everywhere: a symptom, disease, examination, drug, dose or time is marked with all that
belongs to it, each time it occurs; a body part (two characters or more, its side included) is marked wherever it stands, also
inside a symptom, disease or examination, but not inside a drug. Rooms (CT室), vital signs, laboratory values, ages and
findings are not marked. Every marked string occurs in its text as often as it is marked: strings alone determine the offsets.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tools.samples import quantities
from tools.samples.filling import Mark, Piece, Value, choose, fill, join
from tools.samples.lexicon import PART_PATTERN, SIDED_PARTS, SIDES, SPECIALTIES, Specialty, pool
from tools.samples.note_templates import ROOMS, SECTIONS, TEST, TRAIN

SIZES = {"train": 2000, "dev": 100, "test": 150}
TYPES = ("症状", "疾病", "药物", "检查", "剂量", "部位", "时间")

_OWN_WORDS = {"train": 0.0, "dev": 0.3, "test": 0.48}  # chance that a word comes from the split's own part of a list
_REDRAWS = 8  # new tries for a value that the note already has
_ONSETS = ("阵发性", "持续性", "间歇性")
_SURNAMES = tuple("王李张刘陈杨赵黄周吴徐孙马朱胡郭何林高罗")


class Draw:
    """Values for the slots of one note of one specialty."""

    def __init__(self, random: Random, split: str, specialty: Specialty) -> None:
        self._random, self._split, self._specialty = random, split, specialty
        self._used: set[str] = set()
        self._last = {"药": "", "标": "CRP"}
        self._mentions: dict[str, tuple[str, Callable[[], str]]] = {
            "症": ("症状", self._symptom),
            "征": ("症状", self._sign),
            "部": ("部位", lambda: self._part(specialty.parts)),
            "病": ("疾病", lambda: self._word(specialty.diseases)),
            "药": ("药物", lambda: self._word(specialty.drugs)),
            "查": ("检查", self._exam),
            "影": ("检查", self._imaging),
            "标": ("检查", self._indicator),
            "量": ("剂量", lambda: quantities.dose(random, self._last["药"])),
            "历时": ("时间", lambda: quantities.duration(random)),
            "片时": ("时间", lambda: quantities.spell(random)),
            "疗程": ("时间", lambda: quantities.course(random)),
            "前": ("时间", lambda: quantities.ago(random)),
            "后": ("时间", lambda: quantities.later(random)),
            "日": ("时间", lambda: quantities.moment(random)),
        }
        self._literals: dict[str, Callable[[], str]] = {
            "岁": lambda: str(random.randint(18, 86)),
            "性": lambda: random.choice("男女"),
            "姓": lambda: random.choice(_SURNAMES),
            "体征": lambda: quantities.vital_signs(random),
            "值": lambda: quantities.measured(random, self._last["标"]),
            "号": lambda: str(random.randint(2, 9999)),
            "元": lambda: str(random.randint(1, 900) * 5),
            "所见": lambda: random.choice(specialty.findings),
            "室": lambda: random.choice(ROOMS["test" if split == "test" else "train"]),
        }

    def __call__(self, kind: str) -> Value:
        """The value of one slot; mentions of one note differ unless their slot is numbered."""
        if kind in self._literals:
            return (Piece(self._literals[kind]()),)
        if kind.endswith("列"):
            return self._list(kind.removesuffix("列"))
        type_name, make = self._mentions[kind]
        text = make()
        for _ in range(_REDRAWS):
            if text not in self._used:
                break
            text = make()
        self._used.add(text)
        self._last[kind] = text
        return (Piece(text, type_name),)

    def _list(self, kind: str) -> Value:
        pieces: list[Piece] = []
        for _ in range(self._random.choice((2, 2, 3, 3, 4))):
            pieces.extend((*self(kind), Piece("、")))
        return tuple(pieces[:-1])

    def _word(self, words: tuple[str, ...]) -> str:
        own = self._random.random() < _OWN_WORDS[self._split]
        return self._random.choice(pool(words, self._split if own else "train"))

    def _part(self, parts: tuple[str, ...]) -> str:
        part = self._word(parts)
        return self._random.choice(SIDES) + part if part in SIDED_PARTS and self._random.random() < 0.6 else part

    def _symptom(self) -> str:
        return self._word(self._specialty.symptoms) if self._random.random() < 0.6 else self._sign()

    def _sign(self) -> str:
        onset = self._random.choice(_ONSETS) if self._random.random() < 0.15 else ""
        return onset + self._part(self._specialty.regions) + self._random.choice(self._specialty.sensations)

    def _exam(self) -> str:
        return self._word(self._specialty.exams) if self._random.random() < 0.6 else self._imaging()

    def _imaging(self) -> str:
        return self._part(self._specialty.parts) + self._random.choice(self._specialty.modalities)

    def _indicator(self) -> str:
        words = tuple(word for word in self._specialty.exams if word in quantities.INDICATORS)
        return self._word(words or tuple(quantities.INDICATORS))


def build_notes(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows per split; no text and no sequence of templates of test stands in train."""
    texts: set[str] = set()
    splits = {}
    for split, size in SIZES.items():
        random = Random(f"clinic-notes {split} {seed}")
        rows: list[dict[str, Any]] = []
        while len(rows) < size:
            text, marks = _make_note(random, split)
            if text in texts or not 18 <= len(text) <= 420 or not _determined(text, marks):
                continue
            texts.add(text)
            rows.append({"id": f"note-{split}-{len(rows) + 1:04}", "text": text, "entities": _to_rows(text, marks)})
        splits[split] = rows
    return splits


def choose_templates(random: Random, split: str) -> list[str]:
    """The sentences of one note, in the order of its sections; `test` has its own."""
    templates = TEST if split == "test" else TRAIN
    kind = random.choices(("administrative", "mixed", "short", "long"), weights=(10, 6, 76, 8))[0]
    if kind == "administrative":
        return random.sample(templates["行政"], random.choice((1, 1, 2)))
    count = random.randint(5, 6) if kind == "long" else random.choice((1, 2, 2, 3, 3, 4))
    chosen = sorted(random.sample(SECTIONS, count), key=SECTIONS.index)
    sentences = [random.choice(templates[section]) for section in chosen]
    return [*sentences, random.choice(templates["行政"])] if kind == "mixed" else sentences


def _make_note(random: Random, split: str) -> tuple[str, list[Mark]]:
    draw = Draw(random, split, random.choice(SPECIALTIES))
    remembered: dict[str, Value] = {}
    pieces: list[Piece] = []
    for template in choose_templates(random, split):
        pieces.extend(fill(choose(template, random), draw, remembered))
    text, marks = join(tuple(pieces))
    drugs = [mark for mark in marks if mark.type == "药物"]
    parts = [
        Mark(match.start(), match.end(), "部位")
        for match in PART_PATTERN.finditer(text)
        if not any(drug.start < match.end() and match.start() < drug.end for drug in drugs)
    ]
    return text, sorted({*marks, *parts}, key=lambda mark: (mark.start, -mark.end, mark.type))


def _determined(text: str, marks: list[Mark]) -> bool:
    """True where every marked string occurs exactly as often as it is marked with its type."""
    strings = [(text[mark.start : mark.end], mark.type) for mark in marks]
    return all(text.count(string) == strings.count((string, type_name)) for string, type_name in strings)


def _to_rows(text: str, marks: list[Mark]) -> list[dict[str, Any]]:
    return [{"start": mark.start, "end": mark.end, "type": mark.type, "text": text[mark.start : mark.end]} for mark in marks]
