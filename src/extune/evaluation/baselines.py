"""What can be had without a model: looking up what training examples label, or giving their most frequent class.

In: examples with gold. Out: predictions, and the share of test mentions that a look-up could know.
It knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from extune.domain.annotation import Extraction, Fields, Labels, Span
from extune.domain.example import Example


class Gazetteer:
    """Labels the known strings of a text, leftmost first, the longest at each place, without overlaps.

    A string is known where the training examples label at least half of its occurrences; its type is the one that they give
    it most often (of equally frequent ones the first seen).
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        """`types`: the type of each string."""
        self._types = dict(types)
        self._lengths = _index_lengths(self._types)

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> Gazetteer:
        """Collect the strings of the gold spans; examples without an extraction as gold are passed over."""
        labelled = [(example.text, example.gold) for example in examples if isinstance(example.gold, Extraction)]
        votes: dict[str, Counter[str]] = {}
        places: Counter[str] = Counter()
        for _, gold in labelled:
            for span in gold.spans:
                votes.setdefault(span.text, Counter())[span.type] += 1
            places.update(text for _, _, text in {(span.start, span.end, span.text) for span in gold.spans})
        lengths = _index_lengths(votes)
        occurrences: Counter[str] = Counter()
        for text, _ in labelled:
            for start in range(len(text)):
                occurrences.update(_strings_at(text, start, lengths, votes))
        known = (string for string in votes if 2 * places[string] >= occurrences[string])
        return cls({string: votes[string].most_common(1)[0][0] for string in known})

    def with_one_type(self, name: str) -> Gazetteer:
        """The same strings, all of type `name`."""
        return Gazetteer(dict.fromkeys(self._types, name))

    def predict(self, text: str) -> Extraction:
        """The known strings of `text`."""
        spans = []
        start = 0
        while start < len(text):
            string = next(_strings_at(text, start, self._lengths, self._types), None)
            if string is None:
                start += 1
            else:
                spans.append(Span(self._types[string], string, start, start + len(string)))
                start += len(string)
        return Extraction(tuple(spans))


class MajorityClass:
    """Gives every example the labels that most training examples have (of equally frequent ones the first seen).

    Where an example has candidates, the most frequent labels among them; the first candidate where none was seen.
    """

    def __init__(self, votes: Mapping[tuple[str, ...], int]) -> None:
        """`votes`: how many training examples have each set of labels."""
        self._ranked = sorted(votes, key=lambda names: -votes[names])

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> MajorityClass:
        """Count the labels; examples without labels as gold are passed over."""
        return cls(Counter(example.gold.names for example in examples if isinstance(example.gold, Labels)))

    def predict(self, example: Example) -> Labels:
        """The labels for one example."""
        if not example.candidates:
            return Labels(self._ranked[0] if self._ranked else ())
        allowed = (names for names in self._ranked if set(names) <= set(example.candidates or ()))
        return Labels(next(allowed, example.candidates[:1]))


class FieldLookup:
    """Fills records from what training records hold.

    A list gets the strings that train gives this field and that stand in the text, in text order; a string is known where at
    least half of the training texts that contain it have it in the field. Enums and free texts get the value that train has
    most of, absence included (of equally frequent ones the first seen).
    """

    def __init__(self, strings: Mapping[str, frozenset[str]], values: Mapping[str, str]) -> None:
        """`strings`: known ones of each list; `values`: of each other field that is not mostly absent."""
        self._strings, self._values = dict(strings), dict(values)
        self._lengths = {name: _index_lengths(known) for name, known in self._strings.items()}

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> FieldLookup:
        """Collect the values; examples without a record as gold are passed over."""
        records = [(example.text, example.gold.values) for example in examples if isinstance(example.gold, Fields)]
        having: dict[str, Counter[str]] = {}
        values: dict[str, Counter[str]] = {}
        for _, record in records:
            for name, value in record.items():
                if isinstance(value, str):
                    values.setdefault(name, Counter())[value] += 1
                else:
                    having.setdefault(name, Counter()).update(set(value))
        lengths = _index_lengths({string for counts in having.values() for string in counts})
        containing = Counter(string for text, _ in records for string in _strings_in(text, lengths))
        strings = {
            name: frozenset(one for one, count in counts.items() if 2 * count >= containing[one])
            for name, counts in having.items()
        }
        frequent = {name: counts.most_common(1)[0] for name, counts in values.items()}
        absent = {name: len(records) - counts.total() for name, counts in values.items()}
        return cls(strings, {name: value for name, (value, count) in frequent.items() if count >= absent[name]})

    def predict(self, text: str) -> Fields:
        """The record of one text."""
        lists = {
            name: tuple(one for one in _strings_in(text, self._lengths[name]) if one in known)
            for name, known in self._strings.items()
        }
        return Fields({**lists, **self._values})


def seen_share(train: Iterable[Extraction], test: Iterable[Extraction]) -> float | None:
    """Share of the test mentions whose string is a mention in train, of whatever type; None where test has no mention."""
    seen = {span.text for annotation in train for span in annotation.spans}
    mentions = [span.text for annotation in test for span in annotation.spans]
    return sum(text in seen for text in mentions) / len(mentions) if mentions else None


def _index_lengths(strings: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """For each first character the lengths of the strings that begin with it, the longest first."""
    lengths: dict[str, set[int]] = {}
    for string in strings:
        lengths.setdefault(string[0], set()).add(len(string))
    return {first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}


def _strings_in(text: str, lengths: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    """The strings of these lengths by first character that stand somewhere in `text`, each once, in text order."""
    places = ((start, length) for start in range(len(text)) for length in lengths.get(text[start], ()))
    return dict.fromkeys(text[start : start + length] for start, length in places)


def _strings_at(text: str, start: int, lengths: Mapping[str, tuple[int, ...]], strings: Mapping[str, object]) -> Iterator[str]:
    """The `strings` that stand at `start`, the longest first."""
    for length in lengths.get(text[start], ()):
        string = text[start : start + length]
        if len(string) == length and string in strings:
            yield string
