"""Texts that are almost one of another split: MinHash over character shingles, with banding (locality-sensitive hashing).

In: texts to be found (dev and test), then texts to look with (train). Out: for each text to be found the most similar other
one, where their shingles' estimated Jaccard similarity reaches the bound. Only the texts to be found are indexed, about 700
bytes each; those of train go by in batches, so memory does not grow with train.

Why no library: datasketch hashes each shingle in Python and keeps its bands in dictionaries of sets, several kilobytes a
text. Here shingles are code points, so a text's hashes are a few array operations, and a band is a sorted array.

Source of the method: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, chapter 3. With 20 bands of 5 rows a pair of similarity 0.8 is missed with probability 4e-4.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SIMILAR_FROM = 0.8
SHORTEST = 8  # characters; of shorter texts one edit changes most shingles, and many short texts are alike by chance

_SHINGLE = 3
_BANDS, _ROWS = 20, 5
_BATCH = 2048
_MOST_IN_BUCKET = 32  # texts of one bucket that one text is compared with; which ones, differs from text to text

Name = tuple[str, int]  # split and line
Words = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]

_RANDOM = np.random.default_rng(20240726)
_FACTORS: Words = _RANDOM.integers(1 << 63, size=_BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS: Words = _RANDOM.integers(1 << 63, size=_BANDS * _ROWS, dtype=np.uint64)
_BAND_FACTORS: Words = _RANDOM.integers(1 << 63, size=_ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of splitmix64 (Steele, Lea and Flood 2014)


class Near(NamedTuple):
    """A text to be found, the most similar text of those that looked, and their estimated similarity."""

    found: Name
    by: Name
    similarity: float


def fold_text(text: str) -> str:
    """The text without width, case and blanks."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def sign(text: str) -> Signatures | None:
    """The MinHash signature of a text's character shingles; None where it is too short to tell."""
    folded = fold_text(text)
    if len(folded) < SHORTEST:
        return None
    points = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = len(points) - _SHINGLE + 1
    shingles = points[:count]
    for place in range(1, _SHINGLE):
        shingles = (shingles << np.uint64(21)) | points[place : place + count]  # a code point has 21 bits
    for factor, shift in zip(_MIX, (30, 27), strict=True):
        shingles = (shingles ^ (shingles >> np.uint64(shift))) * factor
    hashes = (shingles[:, None] * _FACTORS + _OFFSETS) >> np.uint64(32)
    signature: Signatures = hashes.min(axis=0).astype(np.uint32)
    return signature


@dataclass
class NearTexts:
    """Dev and test first, by `expect`; then train, by `look`; then what was found."""

    _names: list[Name] = field(default_factory=list)
    _expected: list[Signatures] = field(default_factory=list)
    _index: _Index | None = None
    _batch: list[tuple[Name, Signatures]] = field(default_factory=list)

    def expect(self, name: Name, text: str) -> None:
        """Add a text to be found; not after the first `look`."""
        signature = sign(text)
        if signature is not None:
            self._names.append(name)
            self._expected.append(signature)

    def look(self, name: Name, text: str) -> None:
        """Compare a text with those to be found, at once or with the next ones."""
        if not self._names:
            return
        signature = sign(text)
        if signature is not None:
            self._batch.append((name, signature))
        if len(self._batch) == _BATCH:
            self._compare()

    def results(self) -> Iterator[Near]:
        """The texts that were found."""
        self._compare()
        if self._index is None:
            return
        for number in np.flatnonzero(self._index.best >= SIMILAR_FROM):
            yield Near(self._names[number], self._index.found_by[int(number)], float(self._index.best[number]))

    def _compare(self) -> None:
        if self._index is None and self._names:
            self._index = _Index(np.stack(self._expected))
            self._expected.clear()
        if self._index is not None and self._batch:
            self._index.compare(self._batch)
        self._batch.clear()


class _Index:
    """Signatures in buckets, one sorting by each band.

    Attributes:
        best: highest similarity so far of each text.
        found_by: name of the text with that similarity, where it reaches the bound.
    """

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        keys = _band_keys(signatures)
        self._orders = [np.argsort(keys[:, band], kind="stable").astype(np.uint32) for band in range(_BANDS)]
        self._keys = [keys[order, band] for band, order in enumerate(self._orders)]
        self.best = np.zeros(len(signatures), dtype=np.float32)
        self.found_by: dict[int, Name] = {}

    def compare(self, batch: list[tuple[Name, Signatures]]) -> None:
        """Look for each text of the batch in the buckets."""
        signatures = np.stack([signature for _, signature in batch])
        keys = _band_keys(signatures)
        for band, (known, order) in enumerate(zip(self._keys, self._orders, strict=True)):
            low = np.searchsorted(known, keys[:, band], side="left")
            sizes = np.searchsorted(known, keys[:, band], side="right") - low
            for number in np.flatnonzero(sizes):
                self._compare_one(batch[number], order[_choose(int(low[number]), int(sizes[number]), int(number))])

    def _compare_one(self, looking: tuple[Name, Signatures], members: npt.NDArray[np.uint32]) -> None:
        name, signature = looking
        similarities = (self._signatures[members] == signature).mean(axis=1)
        for place in np.flatnonzero(similarities > self.best[members]):
            member, similarity = int(members[place]), similarities[place]
            self.best[member] = similarity
            if similarity >= SIMILAR_FROM:
                self.found_by[member] = name


def _choose(low: int, size: int, turn: int) -> npt.NDArray[np.int64]:
    """Places of a bucket: all, or as many as are looked at, beginning elsewhere for each text."""
    return low + (np.arange(min(size, _MOST_IN_BUCKET)) + turn * _MOST_IN_BUCKET) % size


def _band_keys(signatures: Signatures) -> Words:
    """One 64-bit key a text and band, shape [texts, bands]."""
    rows: Words = signatures.reshape(len(signatures), _BANDS, _ROWS).astype(np.uint64)
    keys: Words = (rows * _BAND_FACTORS).sum(axis=2, dtype=np.uint64)
    return keys
