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
from extune.evaluation.baselines import Gazetteer


@dataclass(frozen=True)
class TrainingReference:
    """Build it with `fit`.

    Attributes:
        mentions: how often each (type, string) is labelled.
        gazetteer: the strings that train labels, each with its own type.
        majority: the same strings, all with the type that train has most of: what the types add to the look-up.
        examples: how many there are.
    """

    mentions: Counter[Mention]
    gazetteer: Gazetteer
    majority: Gazetteer
    examples: int
    _texts: frozenset[str]

    @classmethod
    def fit(cls, examples: Iterable[Example]) -> TrainingReference:
        """Collect what is needed; examples without an extraction as gold give their texts only."""
        known = list(examples)
        spans = [span for example in known if isinstance(example.gold, Extraction) for span in example.gold.spans]
        gazetteer = Gazetteer.fit(known)
        types = Counter(span.type for span in spans)
        majority = gazetteer.with_one_type(types.most_common(1)[0][0]) if types else gazetteer
        texts = frozenset(_fold(example.text) for example in known)
        return cls(Counter(Mention(span.type, span.text) for span in spans), gazetteer, majority, len(known), texts)

    def holds(self, text: str) -> bool:
        """True where train has this text, whatever its width, case and white space."""
        return _fold(text) in self._texts


def _fold(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
