"""The medical words of all samples, by specialty, and which split may use which word.

In: `medical_words.yaml`. Out: `SPECIALTIES`, `PART_PATTERN`, `pool`. It knows nothing about templates and spans.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

Words = tuple[str, ...]


@dataclass(frozen=True)
class Specialty:
    """Words that go together in one note; the fields are explained in `medical_words.yaml`."""

    name: str
    symptoms: Words
    regions: Words
    organs: Words
    sensations: Words
    diseases: Words
    drugs: Words
    exams: Words
    modalities: Words
    findings: Words
    classes: Words
    operations: Words
    advice: Words

    @property
    def parts(self) -> Words:
        """Body parts, seen or only imaged."""
        return self.regions + self.organs


_WORDS = yaml.safe_load((Path(__file__).parent / "medical_words.yaml").read_text(encoding="utf-8"))

SPECIALTIES = tuple(
    Specialty(name, **{field: tuple(words) for field, words in fields.items()})
    for name, fields in _WORDS["specialties"].items()
)
SIDES: Words = tuple(_WORDS["sides"])
SIDED_PARTS = frozenset(_WORDS["sided"])
PARTS = frozenset(_WORDS["further_parts"]).union(*(specialty.parts for specialty in SPECIALTIES))
# The longest alternative first, so that 腰椎间盘 is found before 腰椎.
PART_PATTERN = re.compile(f"(?:{'|'.join(SIDES)})?(?:{'|'.join(sorted(PARTS, key=lambda part: (-len(part), part)))})")

_SPLIT_OF_TENTH = ("train",) * 6 + ("dev",) + ("test",) * 3


def owner(word: str) -> str:
    """The split that may use `word`: `train` (60 %, shared by all splits), `dev` (10 %) or `test` (30 %)."""
    return _SPLIT_OF_TENTH[hashlib.sha256(word.encode()).digest()[0] % 10]


def pool(words: Words, split: str) -> Words:
    """Words that belong to `split`; for a list without any, the words of train, or all of them."""
    own = tuple(word for word in words if owner(word) == split)
    return own or tuple(word for word in words if owner(word) == "train") or words
