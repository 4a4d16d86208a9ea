"""One table of everything that was scored on one test set. In: names with their scores. Out: header and rows, JSON, Markdown.

It knows nothing about where predictions come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from extune.engines.openai_engine import Usage
from extune.evaluation.score import Score, name_figure

_BESIDE_HEADLINE: Mapping[str, tuple[str, ...]] = {
    "extraction": ("micro.precision", "micro.recall", "macro.f1"),
    "record": ("micro.precision", "micro.recall", "macro.f1", "presence.recall"),
    "classification": ("macro.f1", "mcc"),
    "generation": ("char_f1", "bleu", "perplexity"),
}


@dataclass(frozen=True)
class BaselineRow:
    """One line.

    Attributes:
        name: for people.
        seconds: of the predictions; None where they were made before, or cost no time worth telling.
        usage: of a server; None where none was asked.
        notes: what the score has to be read with, one sentence each.
    """

    name: str
    score: Score
    seconds: float | None = None
    usage: Usage | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineTable:
    """All lines of one test set.

    Attributes:
        kind: of the task; chooses the columns. `problems` are rows whose answer has at least one.
        file: the test set; `test_set_hash` tells it apart from another of the same name.
        notes: what all lines have to be read with.
    """

    recipe: str
    kind: str
    split: str
    file: str
    test_set_hash: str
    rows: tuple[BaselineRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What was scored."""
        return f"{self.recipe}, {self.split}, {self.rows[0].score.documents} examples"

    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        headline = name_figure(self.rows[0].score.headline)
        beside = tuple(name_figure(key) for key in _BESIDE_HEADLINE[self.kind])
        return ("", f"{headline} [95 %]", *beside, "problems", "seconds")

    def cells(self) -> list[tuple[str, ...]]:
        """One line per row, as text; `-` stands for what there is not."""
        return [self._cells(row) for row in self.rows]

    def _cells(self, row: BaselineRow) -> tuple[str, ...]:
        figures = row.score.figures()
        low_high = "" if row.score.interval is None else f" [{row.score.interval[0]:.3f}, {row.score.interval[1]:.3f}]"
        beside = [_show(figures.get(key)) for key in _BESIDE_HEADLINE[self.kind]]
        seconds = "-" if row.seconds is None else f"{row.seconds:.0f}"
        headline = _show(figures[row.score.headline]) + low_high
        return (row.name, headline, *beside, str(row.score.problem_documents), seconds)

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        rows = [
            {
                "name": row.name,
                "score": row.score.to_json(),
                "seconds": row.seconds,
                "usage": None if row.usage is None else asdict(row.usage),
                "notes": list(row.notes),
            }
            for row in self.rows
        ]
        return {
            "recipe": self.recipe,
            "task": self.kind,
            "split": self.split,
            "file": self.file,
            "test_set_hash": self.test_set_hash,
            "rows": rows,
            "notes": list(self.notes),
        }

    def to_markdown(self) -> str:
        """A page with the table and its notes."""
        lines = [f"# Baselines: {self.title}", "", f"`{self.file}`, SHA-256 {self.test_set_hash}", ""]
        lines += [_line(self.header()), "|" + "---|" * len(self.header()), *map(_line, self.cells()), ""]
        lines += [f"* {note}" for note in self.list_notes()]
        return "\n".join(lines).rstrip() + "\n"

    def list_notes(self) -> tuple[str, ...]:
        """Those of all lines, then those of each with its name, what a server was asked among them."""
        own = [(row.name, (*([] if row.usage is None else [describe_usage(row.usage)]), *row.notes)) for row in self.rows]
        return (*self.notes, *(f"{name}: {note}" for name, notes in own for note in notes))


def describe_usage(usage: Usage) -> str:
    """What a server was asked, in one line."""
    parts = [
        f"{usage.answered} requests",
        f"{usage.cached} answers kept from before" if usage.cached else "",
        f"{usage.prompt_tokens:,} tokens in, {usage.answer_tokens:,} out",
        f"{usage.uncounted} answers without token counts" if usage.uncounted else "",
        "" if usage.cost is None else f"cost {usage.cost:.4f}",
        f"{usage.retried} attempts made again" if usage.retried else "",
    ]
    return ", ".join(filter(None, parts))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _show(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
