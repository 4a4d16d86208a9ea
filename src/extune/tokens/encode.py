"""Examples become token ids, for training and for inference alike.

In: examples and a contract. Out: `Prompt`s for engines and `EncodedRow`s for training, from the same `rendering`.
It knows nothing about batches, models and files. What does not fit is an
error, dropped, windowed or visibly shortened; answers are never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prompt import Message, Prompt
from extune.domain.task import ClassificationTask, Task
from extune.errors import DataError
from extune.prompts.formats import build_format
from extune.prompts.formats.base import require_representable
from extune.prompts.messages import render_messages, show_found
from extune.runs.contract import Contract
from extune.tokens.lengths import LengthReport, Lengths, where_is
from extune.tokens.plain_text import AnswerEncoder
from extune.tokens.rendering import encode_messages


class Window(Protocol):
    """Half-open character interval of a text."""

    @property
    def start(self) -> int:
        """First character."""

    @property
    def end(self) -> int:
        """One past the last character."""


SplitWindows = Callable[[str, Callable[[str], bool], int], Sequence[Window]]
AssignGold = Callable[[Example, Sequence[Any]], Sequence[Annotation]]  # takes what its SplitWindows made
Shorten = Callable[[str, Callable[[str], bool]], str | None]
Find = Callable[[Example, str], Annotation]

_GOLD: Mapping[str, tuple[type[Annotation], str]] = {
    "extraction": (Extraction, "spans"),
    "record": (Fields, "fields"),
    "classification": (Labels, "labels"),
    "generation": (Answer, "answer"),
}


@dataclass(frozen=True)
class EncodedRow:
    """One training row: `ids[:prompt_length]` is the prompt, `ids[prompt_length:]` is learned and ends with the stop id.

    Attributes:
        text: the (window of the) text that the prompt asks about.
        offset: where `text` begins in the example's text, in characters.
    """

    example_id: str
    ids: tuple[int, ...]
    prompt_length: int
    text: str
    offset: int = 0


class Encoder:
    """Encodes examples as one contract says.

    Args:
        tokenizer: the one that the contract's hash was made of.
        contract: everything else.
        split_windows: cuts a text into windows that fit; needed where `on_too_long` is `window`.
        assign_gold: gives each window its gold; needed for training where `on_too_long` is `window`.
        shorten: the text without its middle, so that it fits, or None; needed where `on_too_long` is `shorten`.
        find: what a look-up finds in (a window of) the text of an example; needed where the contract has a `lookup`.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        contract: Contract,
        split_windows: SplitWindows | None = None,
        assign_gold: AssignGold | None = None,
        shorten: Shorten | None = None,
        find: Find | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.contract = contract
        self.task: Task = contract.task
        self.answer_format = build_format(contract.format)
        self._answers = AnswerEncoder(tokenizer)
        self._lengths = Lengths(contract)
        self._split_windows = split_windows
        self._assign_gold = assign_gold
        self._shorten = shorten
        self._find = find

    @property
    def length_report(self) -> LengthReport:
        """What became of the examples so far, each counted as often as it was encoded."""
        return self._lengths.report

    def task_of(self, example: Example) -> Task:
        """The task as this example asks it: a classification is narrowed to the example's candidates.

        Raises:
            DataError: neither the task nor the example names labels.
        """
        if not isinstance(self.task, ClassificationTask):
            return self.task
        if example.candidates:
            return self.task.narrow(example.candidates)
        if self.task.label_names:
            return self.task
        raise DataError(
            f"example {example.id!r} has no candidates, and task.label_names is empty",
            where=where_is(example),
            expected="labels to choose from",
            fix='write "candidates": ["...", "..."] into the row, or set task.label_names',
        )

    def encode_prompts(self, example: Example) -> tuple[Prompt, ...]:
        """One prompt, one per window, or none where the example is dropped.

        Raises:
            DataError: the text does not fit, and the contract's `on_too_long` is `error`.
            RecipeError: a template ignores a part of the example that is not empty.
        """
        ids = self._prompt_ids(example, example.text)
        too_long = self._lengths.find_excess(len(ids))
        if too_long is None:
            self._lengths.count(example, "keep")
            return (self._prompt(example, example.text, 0, ids),)
        if self._lengths.drops(example, too_long):
            return ()
        if self.contract.on_too_long == "shorten":
            text = self._shortened(example)
            return (self._prompt(example, text, 0, self._prompt_ids(example, text)),)
        windows = self._windows(example, len(example.text))
        self._lengths.count(example, "window")
        pieces = [(example.text[window.start : window.end], window.start) for window in windows]
        return tuple(self._prompt(example, text, start, self._prompt_ids(example, text)) for text, start in pieces)

    def encode_rows(self, example: Example) -> tuple[EncodedRow, ...]:
        """Training rows: one, one per window, or none where the example is dropped.

        Raises:
            DataError: no gold; the prompt does not fit and the contract's `on_too_long` is `error`; or the answer does not fit
                and windows are not wanted or do not help. Answers are never cut, and never left out for their length.
            FormatError: the answer format cannot hold the gold annotation.
            RecipeError: a template ignores a part of the example that is not empty.
        """
        gold = self._require_gold(example)
        row = self._row(example, example.text, 0, gold)
        prompt_excess = self._lengths.find_excess(row.prompt_length)
        answer_excess = self._lengths.find_excess(0, len(row.ids) - row.prompt_length)
        if prompt_excess is None and answer_excess is None:
            self._lengths.count(example, "keep")
            return (row,)
        if prompt_excess and self._lengths.drops(example, prompt_excess):
            return ()
        if answer_excess and self.contract.on_too_long != "window":  # only windows make answers shorter
            raise self._lengths.refusal(example, answer_excess, "max_answer_tokens")
        if self.contract.on_too_long == "shorten":
            return (self._row(example, self._shortened(example), 0, gold),)
        rows = self._window_rows(example)
        self._lengths.count(example, "window")
        return rows

    def _shortened(self, example: Example) -> str:
        """The text without its middle; the example is counted."""
        if self._shorten is None:
            raise ValueError("on_too_long=shorten needs shorten")
        budget = self.contract.max_input_tokens
        text = self._shorten(example.text, lambda text: len(self._prompt_ids(example, text)) <= budget)
        if text is None:
            raise self._lengths.no_room(example)
        self._lengths.count(example, "shorten")
        return text

    def _window_rows(self, example: Example) -> tuple[EncodedRow, ...]:
        """Windows whose prompt and answer fit: shorter ones are tried as long as an answer is too long."""
        if self._assign_gold is None:
            raise ValueError("on_too_long=window needs assign_gold")
        limit = len(example.text)
        while True:
            windows = self._windows(example, limit)
            golds = self._assign_gold(example, windows)
            rows = [
                self._row(example, example.text[window.start : window.end], window.start, gold)
                for window, gold in zip(windows, golds, strict=True)
            ]
            if all(self._too_long(row) is None for row in rows):
                return tuple(rows)
            limit = min(limit, max(window.end - window.start for window in windows)) // 2

    def _windows(self, example: Example, limit: int) -> Sequence[Window]:
        if self._split_windows is None:
            raise ValueError("on_too_long=window needs split_windows")
        budget, overlap = self.contract.max_input_tokens, self.contract.window_overlap

        def fits(text: str) -> bool:
            return len(text) <= limit and len(self._prompt_ids(example, text)) <= budget

        if not fits(example.text[:1]):
            raise self._lengths.no_room(example)
        return self._split_windows(example.text, fits, overlap)

    def _prompt_ids(self, example: Example, text: str) -> tuple[int, ...]:
        return tuple(encode_messages(self.tokenizer, self.contract.chat_template, self._messages(example, text), text))

    def _messages(self, example: Example, text: str) -> tuple[Message, ...]:
        return render_messages(
            self.task_of(example),
            self.answer_format,
            self._shown(example, text),
            language=self.contract.language,
            instruction=example.instruction,
            history=example.history,
            template=self.contract.template,
        )

    def _shown(self, example: Example, text: str) -> str:
        """The text, with what the look-up finds in it where the contract has one."""
        if self.contract.lookup is None:
            return text
        if self._find is None:
            raise ValueError("a contract with a lookup needs find")
        found = self.answer_format.render_target(self.task_of(example), text, self._find(example, text))
        return show_found(text, found, self.contract.language)

    def _prompt(self, example: Example, text: str, offset: int, ids: tuple[int, ...]) -> Prompt:
        task, constrain = self.task_of(example), self.contract.constrain
        grammar = self.answer_format.render_grammar(task, text) if constrain else None
        shape = self.answer_format.build_shape(task, text) if constrain else None
        return Prompt(example.id, self._messages(example, text), ids, text, offset, grammar, shape)

    def _row(self, example: Example, text: str, offset: int, gold: Annotation) -> EncodedRow:
        task = self.task_of(example)
        require_representable(self.answer_format, task, text, gold, where_is(example))
        prompt = self._prompt_ids(example, text)
        target = self.answer_format.render_target(task, text, gold)
        answer = (*self._answers.encode(target), self.contract.stop_token_ids[0])
        return EncodedRow(example.id, prompt + answer, len(prompt), text, offset)

    def _too_long(self, row: EncodedRow) -> str | None:
        return self._lengths.find_excess(row.prompt_length, len(row.ids) - row.prompt_length)

    def _require_gold(self, example: Example) -> Annotation:
        kind, called = _GOLD[self.task.kind]
        if isinstance(example.gold, kind):
            return example.gold
        raise DataError(
            f"example {example.id!r} has no gold {called}",
            where=where_is(example),
            expected="a gold annotation for every training example (an empty one where there is nothing to find)",
            fix=f"add the {called}, or leave the example out of the training file",
        )
