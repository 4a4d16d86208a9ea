"""Made texts: templates of our own filled from word lists, every filled slot labelled.

A template holds slots: `{herb}` expands the symbol `herb` and, where that is a concept, labels what it became;
`{disease:organ_disease}` labels as `disease` what `organ_disease` becomes; `{herb*2-6}` is a list joined by `、`;
`{herb_dose*2-6,}` one joined by `，`; `{herb*2-4 }` by a blank. Slots inside a labelled slot are not labelled.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

from tools.embedded_base.concepts import CONCEPTS, Labelled, Range
from tools.embedded_base.weak_labels import match_patterns

Production = Sequence[str] | Callable[[random.Random], str]
_SLOT = re.compile(r"\{([a-z_0-9]+)(?::([a-z_0-9]+))?(?:\*(\d+)-(\d+)(.?))?\}")
_JOINERS = {"": "、", ",": "，", " ": " ", ";": "；", "+": "加", "/": "\n", ".": ""}
# Patterns whose spans a template may produce without a slot; they are read off the finished text.
_PATTERN_CONCEPTS = ("percent", "book", "quotation", "bracket", "number", "date", "latin")


class Maker:
    """Expands the symbols of one grammar.

    Args:
        grammar: symbol to templates (chosen evenly) or to a function.
        known: concepts that are labelled wherever they occur in this grammar's texts.
    """

    def __init__(self, grammar: Mapping[str, Production], known: Sequence[str], generator: random.Random) -> None:
        self.grammar, self.known, self.generator = grammar, tuple(known), generator

    def make(self, symbol: str) -> Labelled:
        """One text from `symbol`."""
        pieces: list[str] = []
        spans: dict[str, list[Range]] = {concept: [] for concept in self.known}
        self._expand(symbol, pieces, spans, labelling=True)
        text = "".join(pieces)
        patterns = match_patterns(text)
        for concept in _PATTERN_CONCEPTS:
            if not spans.get(concept):
                spans[concept] = patterns[concept]
        return Labelled(text, spans)

    def _expand(self, symbol: str, pieces: list[str], spans: dict[str, list[Range]], labelling: bool) -> None:
        production = self.grammar[symbol]
        template = production(self.generator) if callable(production) else self.generator.choice(production)
        place = 0
        for slot in _SLOT.finditer(template):
            pieces.append(template[place : slot.start()])
            place = slot.end()
            self._fill(slot, pieces, spans, labelling)
        pieces.append(template[place:])

    def _fill(self, slot: re.Match[str], pieces: list[str], spans: dict[str, list[Range]], labelling: bool) -> None:
        concept, symbol, low, high, joiner = slot.groups()
        times = self.generator.randint(int(low), int(high)) if low else 1
        for index in range(times):
            if index:
                pieces.append(_JOINERS[joiner])
            start = sum(map(len, pieces))
            labelled = labelling and concept in CONCEPTS
            self._expand(symbol or concept, pieces, spans, labelling and not labelled)
            if labelled:
                spans.setdefault(concept, []).append((start, sum(map(len, pieces))))
