"""Which training examples are shown before a question. In: examples with gold. Out: a few of them, always the same.

It knows nothing about prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.files import hash_text


def choose_shots(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    """`count` examples, or all where there are fewer.

    One after the other is taken that has the most names (types, fields, labels) which those before it lack, among texts of at
    most median length without turns of their own, since shots cost tokens in every request. Ties are broken by
    the hash of the text: whatever the order of the file, the choice is the same.
    """
    known = [example for example in examples if example.gold is not None and not example.history]
    if not known or not count:
        return ()
    longest = median(len(example.text) for example in known)
    pool = sorted((one for one in known if len(one.text) <= longest), key=lambda one: (hash_text(one.text), one.id))
    rest = sorted((one for one in known if len(one.text) > longest), key=lambda one: (len(one.text), one.id))
    chosen: list[Example] = []
    seen: set[str] = set()
    while pool and len(chosen) < count:
        best = max(pool, key=lambda one: len(_names(one.gold) - seen))  # the first of equals
        if not _names(best.gold) - seen:
            seen = set()  # every name was shown: begin another round
            best = max(pool, key=lambda one: len(_names(one.gold)))
        seen |= _names(best.gold)
        pool.remove(best)
        chosen.append(best)
    return (*chosen, *rest[: count - len(chosen)])


def _names(gold: Annotation | None) -> set[str]:
    """What an annotation shows of the task; of a free answer nothing that could be counted."""
    if isinstance(gold, Extraction):
        return {span.type for span in gold.spans}
    if isinstance(gold, Fields):
        return set(gold.values)
    return set(gold.names) if isinstance(gold, Labels) else set()
