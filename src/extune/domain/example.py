"""One unit of the user's data and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from extune.domain.annotation import Annotation, Extraction


@dataclass(frozen=True)
class Source:
    """File (as the user named it) and 1-based line at which an example starts."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Example:
    """A text with, possibly, its gold annotation.

    Attributes:
        id: unique within its split.
        text: the text that offsets count in.
        gold: None where the example is unlabelled.
        instruction: overrides the task's instruction for this example.
        history: earlier (question, answer) turns, for generation.
        candidates: label names that are allowed for this example; None means all of the task's.
        source: where it was read from; None for examples made in memory.
    """

    id: str
    text: str
    gold: Annotation | None = None
    instruction: str | None = None
    history: tuple[tuple[str, str], ...] = ()
    candidates: tuple[str, ...] | None = None
    source: Source | None = None

    def __post_init__(self) -> None:
        if isinstance(self.gold, Extraction):
            for span in self.gold.spans:
                found = self.text[span.start : span.end]
                if found != span.text:
                    raise ValueError(
                        f"span [{span.start}, {span.end}) of type {span.type!r} reads {found!r} in the text, "
                        f"the annotation says {span.text!r}"
                    )
