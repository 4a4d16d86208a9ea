"""Looking up in a text the strings that training examples label: as a baseline, and as what a prompt may show.

In: examples with gold. Out: look-ups, also as if one of the examples had not been there: what a look-up finds in a text that
it was made from says nothing about other texts. It knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from extune.domain.annotation import Extraction, Fields, Span
from extune.domain.example import Example

_Lengths = Mapping[str, tuple[int, ...]]


class Gazetteer:
    """Labels the known strings of a text, leftmost first, the longest at each place, without overlaps."""

    def __init__(self, types: Mapping[str, str]) -> None:
        """`types`: the type of each string."""
        self.types = dict(types)
        self._lengths = _index_lengths(self.types)

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> Gazetteer:
        """The strings of the gold spans; examples without an extraction as gold are passed over."""
        return MentionCounts.fit(tuple(examples)).gazetteer()

    def with_one_type(self, name: str) -> Gazetteer:
        """The same strings, all of type `name`."""
        return Gazetteer(dict.fromkeys(self.types, name))

    def predict(self, text: str) -> Extraction:
        """The known strings of `text`."""
        spans = []
        start = 0
        while start < len(text):
            string = next(_strings_at(text, start, self._lengths, self.types), None)
            if string is None:
                start += 1
            else:
                spans.append(Span(self.types[string], string, start, start + len(string)))
                start += len(string)
        return Extraction(tuple(spans))


@dataclass(frozen=True)
class MentionCounts:
    """What makes a string known: training examples label at least half of its occurrences.

    Its type is the one that they give it most often (of equally frequent ones the first seen).

    Attributes:
        votes: of each string, how often it has each type.
        places: of each string, how many of its occurrences are labelled, with whatever types.
        occurrences: of each string, how many there are; those that overlap count too.
    """

    votes: Mapping[str, Counter[str]]
    places: Counter[str]
    occurrences: Counter[str]

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> MentionCounts:
        """Count; goes twice through `examples`, of which those without an extraction as gold are passed over."""
        votes: dict[str, Counter[str]] = {}
        places: Counter[str] = Counter()
        for _, gold in _extractions(examples):
            for span in gold.spans:
                votes.setdefault(span.text, Counter())[span.type] += 1
            places.update(text for _, _, text in {(span.start, span.end, span.text) for span in gold.spans})
        lengths = _index_lengths(votes)
        occurrences: Counter[str] = Counter()
        for text, _ in _extractions(examples):
            occurrences.update(_all_strings(text, lengths, votes))
        return cls(votes, places, occurrences)

    @cached_property
    def _lengths(self) -> _Lengths:
        return _index_lengths(self.votes)

    def gazetteer(self) -> Gazetteer:
        """The look-up of the known strings."""
        known = (string for string in self.votes if 2 * self.places[string] >= self.occurrences[string])
        return Gazetteer({string: self.votes[string].most_common(1)[0][0] for string in known})

    def without(self, example: Example) -> Gazetteer:
        """The look-up for the text of `example`, which was counted, had it not been; other texts' strings are left out."""
        own = MentionCounts.fit((example,))
        types = {}
        for string, count in Counter(_all_strings(example.text, self._lengths, self.votes)).items():
            votes = self.votes[string] - own.votes.get(string, Counter())
            labelled = self.places[string] - own.places[string]
            if votes and 2 * labelled >= self.occurrences[string] - count:
                types[string] = votes.most_common(1)[0][0]
        return Gazetteer(types)


class FieldLookup:
    """Fills records from what training records hold.

    A list gets its known strings that stand in the text, in text order; every other field gets its one value.
    """

    def __init__(self, strings: Mapping[str, frozenset[str]], values: Mapping[str, str]) -> None:
        """`strings`: known ones of each list; `values`: of each other field that is not mostly absent."""
        self.strings, self._values = dict(strings), dict(values)
        self._lengths = {name: _index_lengths(known) for name, known in self.strings.items()}

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> FieldLookup:
        """Collect the values; examples without a record as gold are passed over.

        Enums and free texts get the value that train has most of, absence included (of equally frequent ones the first seen).
        """
        known = tuple(examples)
        values: dict[str, Counter[str]] = {}
        records = [record for _, record in _records(known)]
        for record in records:
            for name, value in record.items():
                if isinstance(value, str):
                    values.setdefault(name, Counter())[value] += 1
        frequent = {name: counts.most_common(1)[0] for name, counts in values.items()}
        absent = {name: len(records) - counts.total() for name, counts in values.items()}
        chosen = {name: value for name, (value, count) in frequent.items() if count >= absent[name]}
        return cls(PieceCounts.fit(known).lookup().strings, chosen)

    def predict(self, text: str) -> Fields:
        """The record of one text."""
        lists = {
            name: tuple(one for one in _strings_in(text, self._lengths[name]) if one in known)
            for name, known in self.strings.items()
        }
        return Fields({**lists, **self._values})


@dataclass(frozen=True)
class PieceCounts:
    """What makes a string known to a list: at least half of the training texts that contain it have it there.

    Attributes:
        having: of each list, how many records have each string in it.
        containing: of each string, how many texts contain it.
    """

    having: Mapping[str, Counter[str]]
    containing: Counter[str]

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> PieceCounts:
        """Count; goes twice through `examples`, of which those without a record as gold are passed over."""
        having: dict[str, Counter[str]] = {}
        for _, record in _records(examples):
            for name, value in record.items():
                if not isinstance(value, str):
                    having.setdefault(name, Counter()).update(set(value))
        lengths = _index_lengths({string for counts in having.values() for string in counts})
        return cls(having, Counter(string for text, _ in _records(examples) for string in _strings_in(text, lengths)))

    @cached_property
    def _lengths(self) -> _Lengths:
        return _index_lengths({string for counts in self.having.values() for string in counts})

    def lookup(self) -> FieldLookup:
        """The look-up of the known strings; fields that are no lists stay empty."""
        strings = {
            name: frozenset(one for one, count in counts.items() if 2 * count >= self.containing[one])
            for name, counts in self.having.items()
        }
        return FieldLookup(strings, {})

    def without(self, example: Example) -> FieldLookup:
        """The look-up for the text of `example`, which was counted, had it not been; other texts' strings are left out."""
        own = PieceCounts.fit((example,)).having
        standing = set(_strings_in(example.text, self._lengths))
        strings = {}
        for name, counts in self.having.items():
            rest = {one: counts[one] - own.get(name, Counter())[one] for one in standing}
            strings[name] = frozenset(one for one, count in rest.items() if count and 2 * count >= self.containing[one] - 1)
        return FieldLookup(strings, {})


def _extractions(examples: Iterable[Example]) -> Iterator[tuple[str, Extraction]]:
    return ((example.text, example.gold) for example in examples if isinstance(example.gold, Extraction))


def _records(examples: Iterable[Example]) -> Iterator[tuple[str, Mapping[str, str | tuple[str, ...]]]]:
    return ((example.text, example.gold.values) for example in examples if isinstance(example.gold, Fields))


def _index_lengths(strings: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """For each first character the lengths of the strings that begin with it, the longest first."""
    lengths: dict[str, set[int]] = {}
    for string in strings:
        lengths.setdefault(string[0], set()).add(len(string))
    return {first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}


def _strings_in(text: str, lengths: _Lengths) -> Iterable[str]:
    """The strings of these lengths by first character that stand somewhere in `text`, each once, in text order."""
    places = ((start, length) for start in range(len(text)) for length in lengths.get(text[start], ()))
    return dict.fromkeys(text[start : start + length] for start, length in places)


def _all_strings(text: str, lengths: _Lengths, strings: Mapping[str, object]) -> Iterator[str]:
    """The `strings` that stand in `text`, each as often as it does."""
    return (string for start in range(len(text)) for string in _strings_at(text, start, lengths, strings))


def _strings_at(text: str, start: int, lengths: _Lengths, strings: Mapping[str, object]) -> Iterator[str]:
    """The `strings` that stand at `start`, the longest first."""
    for length in lengths.get(text[start], ()):
        string = text[start : start + length]
        if len(string) == length and string in strings:
            yield string
