"""What can be had without a model and without strings: the most frequent class, and how many mentions train knows.

In: examples with gold. Out: predictions, a share. Looking up strings is in `lookups`. It knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from extune.domain.annotation import Extraction, Labels
from extune.domain.example import Example


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


def seen_share(train: Iterable[Extraction], test: Iterable[Extraction]) -> float | None:
    """Share of the test mentions whose string is a mention in train, of whatever type; None where test has no mention."""
    seen = {span.text for annotation in train for span in annotation.spans}
    mentions = [span.text for annotation in test for span in annotation.spans]
    return sum(text in seen for text in mentions) / len(mentions) if mentions else None
