"""What the data doctor hands over: facts by split, findings, and what was fixed. It knows nothing about how they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from extune.data.checks.finding import Finding, iter_problems


@dataclass
class SplitFacts:
    """What was read of one split.

    Attributes:
        examples, characters: read.
        skipped: rows that could not be read.
        counts: annotations of each name of the task (span type, label name, filled field).
        empty: examples whose annotation is empty.
        tokens: of the texts alone.
        longest_tokens: prompt and answer of the longest row together; 0 where nothing could be encoded.
        open_occurrences: mentions whose place in the text the answer format leaves open.
        dropped, windowed, shortened: examples beyond the token budget, by what the recipe does with them.
    """

    file: str
    encoding: str
    examples: int = 0
    characters: int = 0
    skipped: int = 0
    empty: int = 0
    tokens: int = 0
    longest_tokens: int = 0
    open_occurrences: int = 0
    dropped: int = 0
    windowed: int = 0
    shortened: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def tokens_per_character(self) -> float | None:
        """The tokenizer's fertility on the texts; None where nothing was encoded."""
        return self.tokens / self.characters if self.tokens and self.characters else None


@dataclass(frozen=True)
class Fixes:
    """What `--fix` wrote.

    Attributes:
        files: by split.
        log: JSONL with file, line, code and change of every changed or removed row.
        counts: changes by code.
        untouched: splits that could not be written, and why.
    """

    files: Mapping[str, Path]
    log: Path
    counts: Mapping[str, int]
    untouched: Mapping[str, str]


@dataclass(frozen=True)
class CheckReport:
    """Facts by split, and findings; iterates over the findings, errors first."""

    splits: Mapping[str, SplitFacts]
    findings: tuple[Finding, ...]
    fixes: Fixes | None = None

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def has_errors(self) -> bool:
        """True where the training would not start."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def has_problems(self) -> bool:
        """True where something asks for action."""
        return any(True for _ in iter_problems(self.findings))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a program."""
        return {
            "splits": {
                name: {**asdict(facts), "tokens_per_character": facts.tokens_per_character}
                for name, facts in self.splits.items()
            },
            "findings": [finding.to_json() for finding in self.findings],
        }
