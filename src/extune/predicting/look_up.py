"""What training data label, shown in prompts (`prompt.lookup`): fitted before the first row is encoded, kept in the contract.

In: a recipe and its training examples. Out: the entries in which every later prompt looks strings up, and for the training rows
a look-up that does not know the row itself: a row that is told its own answer teaches a model to copy, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from extune.data.split_reading import SplitReading
from extune.domain.annotation import Annotation
from extune.domain.example import Example
from extune.domain.task import RecordTask
from extune.evaluation.lookups import FieldLookup, Gazetteer, MentionCounts, PieceCounts
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract, Lookup
from extune.tokens.encode import Find


@dataclass(frozen=True)
class TrainingLookup:
    """The strings of the training data; can be sent to another process.

    Attributes:
        counts: of the training examples.
    """

    counts: MentionCounts | PieceCounts

    @property
    def entries(self) -> Lookup:
        """What prompts of other texts look strings up in."""
        if isinstance(self.counts, MentionCounts):
            return Lookup(types=self.counts.gazetteer().types)
        found = self.counts.lookup().strings
        return Lookup(strings={name: tuple(sorted(strings)) for name, strings in found.items()})

    def find(self, example: Example, text: str) -> Annotation:
        """What the other training examples label in (a window of) the text of a training example."""
        return self.counts.without(example).predict(text)


def fit_lookup(recipe: Recipe, train: Iterable[Example] | None = None) -> TrainingLookup | None:
    """Count what the training examples label; None where the recipe looks nothing up.

    Args:
        recipe: names the data.
        train: the examples, instead of the file of `data.train`; gone through twice.

    Raises:
        DataError: the file is missing, or a row cannot be read.
    """
    if not recipe.prompt.lookup:
        return None
    examples = SplitReading(recipe.data, "train", recipe.task) if train is None else train
    fit = PieceCounts.fit if isinstance(recipe.task, RecordTask) else MentionCounts.fit
    return TrainingLookup(fit(examples))


def find_of(lookup: TrainingLookup | None) -> Find | None:
    """How the prompts of training rows look up strings; None where they do not."""
    return None if lookup is None else lookup.find


def finder(contract: Contract) -> Find | None:
    """How prompts of a contract look up strings; None where they do not."""
    if contract.lookup is None:
        return None
    if isinstance(contract.task, RecordTask):
        fields = FieldLookup({name: frozenset(strings) for name, strings in contract.lookup.strings.items()}, {})
        return lambda _, text: fields.predict(text)
    gazetteer = Gazetteer(contract.lookup.types)
    return lambda _, text: gazetteer.predict(text)
