"""Wrong labels, put into right ones on purpose: deleted, retyped, shifted, invented, a quarter each."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example

KINDS = ("deleted", "retyped", "shifted", "invented")


@dataclass(frozen=True)
class Fault:
    """One wrong label: the span that stands in the data now (None where it was deleted), and the one that was there."""

    example_id: str
    kind: str
    now: Span | None
    before: Span | None

    def is_named_by(self, finding: Mapping[str, Any]) -> bool:
        """Whether a finding is about this label: it has the wrong span as gold, or finds something where one was deleted."""
        if finding["id"] != self.example_id:
            return False
        if self.now is not None:
            gold = finding["gold"]
            return gold is not None and (gold["start"], gold["end"], gold["type"]) == self.now.key
        found, before = finding["predicted"], self.before
        assert before is not None
        return finding["gold"] is None and found["start"] < before.end and before.start < found["end"]


def corrupt(
    examples: Sequence[Example], types: Sequence[str], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Fault, ...]]:
    """Make `share` of the labels wrong, each example's at most once."""
    draw = random.Random(seed)
    labels = sum(len(spans(example)) for example in examples)
    order = draw.sample(range(len(examples)), len(examples))
    changed = list(examples)
    faults: list[Fault] = []
    for number, place in enumerate(order):
        if len(faults) >= round(share * labels):
            break
        fault = make_fault(examples[place], KINDS[number % len(KINDS)], types, draw)
        if fault is not None:
            kept = [span for span in spans(examples[place]) if span != fault.before]
            gold = Extraction((*kept, *([] if fault.now is None else [fault.now])))
            changed[place] = replace(examples[place], gold=gold)
            faults.append(fault)
    return tuple(changed), tuple(faults)


def make_fault(example: Example, kind: str, types: Sequence[str], draw: random.Random) -> Fault | None:
    """A fault of this kind in the example, or None where there is no room for one."""
    text, own = example.text, spans(example)
    if kind == "invented":
        start = draw.randrange(len(text) - 3)
        made = span_at(text, draw.choice(types), start, start + draw.randint(2, 3))
        return None if any(made.overlaps(span) for span in own) else Fault(example.id, kind, made, None)
    if not own:
        return None
    before = draw.choice(own)
    if kind == "deleted":
        return Fault(example.id, kind, None, before)
    if kind == "retyped":
        other = draw.choice([name for name in types if name != before.type])
        now = span_at(text, other, before.start, before.end)
    else:
        start, end = draw.choice(
            [(before.start + 1, before.end), (before.start, before.end - 1), (before.start, before.end + 1)]
        )
        if not start < end <= len(text):
            return None
        now = span_at(text, before.type, start, end)
    return None if now in own else Fault(example.id, kind, now, before)


def spans(example: Example) -> tuple[Span, ...]:
    """The gold spans."""
    assert isinstance(example.gold, Extraction)
    return example.gold.spans


def span_at(text: str, type_name: str, start: int, end: int) -> Span:
    """The span of these offsets."""
    return Span(type_name, text[start:end], start, end)
