"""What becomes of examples that do not fit into the token budgets, and the count of it.

In: an example and how long it is. Out: a DataError, or what to do instead; and a report. It knows nothing about tokenizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, RecordTask
from extune.errors import DataError
from extune.runs.contract import Contract


@dataclass(frozen=True)
class LengthReport:
    """What became of the examples; ids are the examples'."""

    kept: int = 0
    dropped: tuple[str, ...] = ()
    windowed: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()


class Lengths:
    """Obeys one contract's budgets and counts."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._kept = 0
        self._ids: dict[str, list[str]] = {"drop": [], "window": [], "shorten": []}

    @property
    def report(self) -> LengthReport:
        """What became of the examples so far."""
        return LengthReport(self._kept, *(tuple(self._ids[choice]) for choice in ("drop", "window", "shorten")))

    def count(self, example: Example, choice: Literal["keep", "drop", "window", "shorten"]) -> None:
        """Remember what became of an example."""
        if choice == "keep":
            self._kept += 1
        else:
            self._ids[choice].append(example.id)

    def find_excess(self, prompt_length: int, answer_length: int = 0) -> str | None:
        """Which budget is exceeded, or None."""
        if prompt_length > self._contract.max_input_tokens:
            return f"the prompt has {prompt_length} tokens, max_input_tokens is {self._contract.max_input_tokens}"
        if answer_length > self._contract.max_answer_tokens:
            return f"the answer has {answer_length} tokens, max_answer_tokens is {self._contract.max_answer_tokens}"
        return None

    def drops(self, example: Example, reason: str) -> bool:
        """True where an example with too long a prompt is dropped and counted, False where its text is windowed or shortened.

        Raises:
            DataError: the contract wants neither.
        """
        choice = self._contract.on_too_long
        if choice == "error":
            raise self.refusal(example, reason, "max_input_tokens")
        if choice == "drop":
            self.count(example, "drop")
        return choice == "drop"

    def refusal(self, example: Example, reason: str, budget: str) -> DataError:
        """The error of an example that does not fit; nothing is ever cut off. Names what else this kind of task can do."""
        task = self._contract.task
        choices = [] if budget == "max_answer_tokens" else ["drop"]
        if isinstance(task, ExtractionTask) or (isinstance(task, RecordTask) and task.is_verbatim):
            choices.insert(0, "window")
        elif isinstance(task, ClassificationTask) and choices:
            choices.insert(0, "shorten")
        return DataError(
            f"example {example.id!r}: {reason}",
            where=where_is(example),
            expected="texts and answers within the budgets; nothing is ever cut off",
            fix=f"raise prompt.{budget}" + (f", or set data.on_too_long to {' or '.join(choices)}" if choices else ""),
        )

    def no_room(self, example: Example) -> DataError:
        """The error where not even a piece of the text fits."""
        return DataError(
            f"example {example.id!r}: no window fits into max_input_tokens {self._contract.max_input_tokens} and "
            f"max_answer_tokens {self._contract.max_answer_tokens}",
            where=where_is(example),
            expected="budgets that hold the instruction, some text and its answer",
            fix="raise prompt.max_input_tokens or prompt.max_answer_tokens",
        )


def where_is(example: Example) -> str:
    """File and line, or the id of an example made in memory."""
    return str(example.source) if example.source is not None else f"example {example.id!r}"
