"""Texts that stand more than once, within a split and across splits. In: examples. Out: lines that belong together.

Of each example two 64-bit hashes and its line are kept: 20 bytes. Two texts are taken for one where their hashes are equal;
among a million texts the chance that this errs once is 3e-8.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.example import Example

_UNIT, _RECORD = "\x1f", "\x1e"


class Repeat(NamedTuple):
    """A line whose text also stands at `first`; `same_gold`: with the same annotation."""

    line: int
    first: int
    same_gold: bool


class _Columns(NamedTuple):
    texts: array[int]
    golds: array[int]
    lines: array[int]


class Fingerprints:
    """What is remembered of the texts of every split."""

    def __init__(self) -> None:
        self._splits: dict[str, _Columns] = {}

    def add(self, split: str, line: int, example: Example) -> None:
        """Remember one example."""
        columns = self._splits.setdefault(split, _Columns(array("Q"), array("Q"), array("I")))
        turns = [turn for pair in example.history for turn in pair]
        columns.texts.append(_hash(_RECORD.join([example.instruction or "", *turns, example.text])))
        columns.golds.append(_hash(_describe(example.gold)))
        columns.lines.append(line)

    def repeats(self, split: str) -> Iterator[Repeat]:
        """Every line of a split whose text stands in it before."""
        texts, golds, lines = self._arrays(split)
        order = np.argsort(texts, kind="stable")  # lines stay ascending within equal texts
        bounds = np.flatnonzero(np.diff(texts[order])) + 1
        starts, ends = np.append(0, bounds), np.append(bounds, len(order))
        for group in np.flatnonzero(ends - starts > 1):
            first_by_gold: dict[int, int] = {}
            for place in order[starts[group] : ends[group]]:
                gold, line = int(golds[place]), int(lines[place])
                if first_by_gold:
                    yield Repeat(line, first_by_gold.get(gold, next(iter(first_by_gold.values()))), gold in first_by_gold)
                first_by_gold.setdefault(gold, line)

    def shared(self, split: str, other: str) -> Iterator[Repeat]:
        """Every line of a split whose text also stands in the other; `first` is the line there."""
        texts, golds, lines = self._arrays(split)
        other_texts, other_golds, other_lines = self._arrays(other)
        if not len(texts) or not len(other_texts):
            return
        order = np.argsort(other_texts, kind="stable")
        places = np.minimum(np.searchsorted(other_texts, texts, sorter=order), len(order) - 1)
        for index in np.flatnonzero(other_texts[order[places]] == texts):
            found = order[places[index]]
            yield Repeat(int(lines[index]), int(other_lines[found]), bool(golds[index] == other_golds[found]))

    def _arrays(self, split: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        columns = self._splits.get(split, _Columns(array("Q"), array("Q"), array("I")))
        return (
            np.array(columns.texts, dtype=np.uint64),
            np.array(columns.golds, dtype=np.uint64),
            np.array(columns.lines, dtype=np.uint32),
        )


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _describe(gold: Annotation | None) -> str:
    """One string for each annotation, in which nothing depends on an order that has no meaning."""
    if isinstance(gold, Extraction):
        mentions = sorted((mention.type, mention.text) for mention in gold.ungrounded)
        return repr(([span.key for span in gold.spans], mentions))
    if isinstance(gold, Labels):
        return repr(sorted(gold.names))
    if isinstance(gold, Fields):
        return repr(sorted(gold.values.items()))
    return _UNIT if gold is None else gold.text
