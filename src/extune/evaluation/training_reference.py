"""What of the training set a score is compared with: its mentions, the look-ups that it allows, its texts.

In: training examples. Out: a `TrainingReference` that many test sets can be held against. It knows no model and no file.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from extune.domain.annotation import Extraction, Mention
from extune.domain.example import Example
from extune.evaluation.baselines import MajorityClass
from extune.evaluation.lookups import FieldLookup, Gazetteer


@dataclass(frozen=True)
class TrainingReference:
    """Build it with `fit`.

    Attributes:
        mentions: how often each (type, string) is labelled.
        gazetteer: the strings that train labels, each with its own type.
        majority: the same strings, all with the type that train has most of: what the types add to the look-up.
        majority_class: the labels that train has most of.
        field_lookup: the strings of its records' lists, and the values that their other fields have most.
        examples: how many there are.
    """

    mentions: Counter[Mention]
    gazetteer: Gazetteer
    majority: Gazetteer
    majority_class: MajorityClass
    field_lookup: FieldLookup
    examples: int
    _texts: frozenset[str]

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> TrainingReference:
        """Collect what the gold of the examples has; all give their texts."""
        known = list(examples)
        spans = [span for example in known if isinstance(example.gold, Extraction) for span in example.gold.spans]
        gazetteer = Gazetteer.fit(known)
        types = Counter(span.type for span in spans)
        majority = gazetteer.with_one_type(types.most_common(1)[0][0]) if types else gazetteer
        return cls(
            mentions=Counter(Mention(span.type, span.text) for span in spans),
            gazetteer=gazetteer,
            majority=majority,
            majority_class=MajorityClass.fit(known),
            field_lookup=FieldLookup.fit(known),
            examples=len(known),
            _texts=frozenset(_fold(example) for example in known),
        )

    def holds(self, example: Example) -> bool:
        """True where train has this text, after the same turns, whatever its width, case and white space."""
        return _fold(example) in self._texts


def _fold(example: Example) -> str:
    text = "".join(part for turn in example.history for part in turn) + example.text
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
