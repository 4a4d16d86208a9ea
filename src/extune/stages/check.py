"""`extune check`: everything that can be known about a recipe's data before training.

In: a recipe. Out: what was read and a list of findings. It loads the base's tokenizer, never its weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from extune.data.checks import count_open_occurrences
from extune.data.splits import SPLITS, name_split, read_split
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.errors import DataError, ExtuneError, FormatError
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_encoder
from extune.recipe.sections import Recipe

_LISTED_PER_KIND = 5


@dataclass(frozen=True)
class Finding:
    """Something about the data that the user should know; an `error` would stop the training."""

    severity: Literal["error", "warning"]
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}"


@dataclass(frozen=True)
class SplitFacts:
    """What was read of one split.

    Attributes:
        examples, characters: read.
        spans: number of gold spans of each type, every type of the task included.
        without_spans: examples whose gold is empty.
        open_occurrences: mentions whose place in the text the answer format leaves open.
        dropped, windowed: examples beyond the token budget, by what the recipe does with them.
        longest_tokens: prompt and answer of the longest row together; 0 where nothing could be encoded.
    """

    file: str
    encoding: str
    examples: int
    characters: int
    spans: dict[str, int]
    without_spans: int
    skipped: int
    open_occurrences: int = 0
    dropped: int = 0
    windowed: int = 0
    longest_tokens: int = 0


@dataclass(frozen=True)
class CheckReport:
    """Facts by split, and findings; iterates over the findings."""

    splits: dict[str, SplitFacts]
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def has_errors(self) -> bool:
        """True where the training would not start."""
        return any(finding.severity == "error" for finding in self.findings)


def check(recipe: Recipe) -> CheckReport:
    """Read and encode every split; what is wrong becomes a finding instead of an exception.

    Raises:
        ExtuneError: the base's tokenizer cannot be loaded.
    """
    checker = _Checker(recipe)
    for split in SPLITS:
        if name_split(recipe.data, split) is not None:
            checker.check_split(split)
    checker.check_between_splits()
    return CheckReport(checker.facts, tuple(checker.findings))


class _Checker:
    """Collects facts and findings over the splits of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.facts: dict[str, SplitFacts] = {}
        self.findings: list[Finding] = []
        self._texts: dict[str, dict[str, str]] = {}
        base = resolve_base(recipe.base.model)
        self._tokenizer = load_tokenizer(base)
        self._contract = draft_contract(recipe, base, self._tokenizer)

    def check_split(self, split: str) -> None:
        """Read one split row by row, then encode what could be read."""
        file = str(name_split(self.recipe.data, split))
        lenient = self.recipe.data.model_copy(update={"on_bad_row": "skip"})
        try:
            result = read_split(lenient, split, self.recipe.task)
        except ExtuneError as error:
            self._add("error", error.where or file, error.what)
            return
        severity: Literal["error", "warning"] = "error" if self.recipe.data.on_bad_row == "error" else "warning"
        self._add_listed(severity, [(f"{file}:{row.line}", row.reason) for row in result.skipped])
        self._texts[split] = {example.text: _name(example) for example in result.examples}
        facts = SplitFacts(
            file=file,
            encoding=result.encoding,
            examples=len(result.examples),
            characters=sum(len(example.text) for example in result.examples),
            spans=_count_types(self.recipe, result.examples),
            without_spans=sum(not _gold(example).spans for example in result.examples),
            skipped=len(result.skipped),
        )
        self.facts[split] = self._encode(facts, result.examples)

    def check_between_splits(self) -> None:
        """Texts in two splits, and types that no example shows."""
        train = self._texts.get("train", {})
        for split in ("dev", "test"):
            shared = [text for text in self._texts.get(split, {}) if text in train]
            if shared:
                first = self._texts[split][shared[0]]
                what = f"{len(shared)} texts of {split} are also in train (the first is the one of {train[shared[0]]})"
                self._add("warning", first, what)
        counts = self.facts["train"].spans if "train" in self.facts else {}
        unseen = [name for name, count in counts.items() if count == 0]
        if unseen:
            self._add("warning", "task.types", "no training example has " + ", ".join(unseen))
        if "train" not in self.facts and self.recipe.data.train is None:
            self._add("warning", "data.train", "is not set: there is nothing to train on")

    def _encode(self, facts: SplitFacts, examples: Sequence[Example]) -> SplitFacts:
        encoder = build_encoder(self._tokenizer, self._contract)
        complaints: list[tuple[str, str]] = []
        longest = open_occurrences = 0
        for example in examples:
            try:
                rows = encoder.encode_rows(example)
                open_occurrences += count_open_occurrences(encoder.task, encoder.answer_format, example)
            except (DataError, FormatError) as error:
                complaints.append((error.where or _name(example), error.what))
                continue
            longest = max([longest, *(len(row.ids) for row in rows)])
        self._add_listed("error", complaints)
        report = encoder.length_report
        return replace(
            facts,
            open_occurrences=open_occurrences,
            dropped=len(report.dropped),
            windowed=len(report.windowed),
            longest_tokens=longest,
        )

    def _add_listed(self, severity: Literal["error", "warning"], complaints: Sequence[tuple[str, str]]) -> None:
        for where, what in complaints[:_LISTED_PER_KIND]:
            self._add(severity, where, what)
        if len(complaints) > _LISTED_PER_KIND:
            rest = len(complaints) - _LISTED_PER_KIND
            self._add(severity, complaints[-1][0], f"and {rest} more like these, the last one here")

    def _add(self, severity: Literal["error", "warning"], where: str, what: str) -> None:
        self.findings.append(Finding(severity, where, what))


def _gold(example: Example) -> Extraction:
    return example.gold if isinstance(example.gold, Extraction) else Extraction()


def _name(example: Example) -> str:
    return str(example.source) if example.source else f"example {example.id}"


def _count_types(recipe: Recipe, examples: Sequence[Example]) -> dict[str, int]:
    found = Counter(span.type for example in examples for span in _gold(example).spans)
    names = getattr(recipe.task, "names", ())
    return {name: found[name] for name in names}
