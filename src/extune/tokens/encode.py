"""The one place where messages become token ids.

In: examples and a contract. Out: `Prompt`s for engines and `EncodedRow`s for training, from the same rendering.
It knows nothing about batches, models and files. What does not fit is an
error, dropped, windowed or visibly shortened; answers are never cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from transformers import GenerationConfig, PreTrainedTokenizerBase

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prompt import Message, Prompt
from extune.domain.task import ClassificationTask, Task
from extune.errors import DataError, ModelError, RecipeError
from extune.prompts.formats import build_format
from extune.prompts.formats.base import require_representable
from extune.prompts.messages import render_messages
from extune.prompts.templates import CONTENTS_APART, choose_template
from extune.runs.contract import Contract
from extune.tokens.lengths import LengthReport, Lengths, where_is
from extune.tokens.plain_text import AnswerEncoder, encode_text

# Some templates print today's date; a prompt that changes overnight would differ from the one that was trained.
_FIXED_DATE = datetime(2024, 7, 26)


def _fixed_strftime(date_format: str) -> str:
    return _FIXED_DATE.strftime(date_format)


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
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        contract: Contract,
        split_windows: SplitWindows | None = None,
        assign_gold: AssignGold | None = None,
        shorten: Shorten | None = None,
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
            text,
            language=self.contract.language,
            instruction=example.instruction,
            history=example.history,
            template=self.contract.template,
        )

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


def render_template(
    tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message], *, add_generation_prompt: bool = True
) -> str:
    """The messages as one string. Models that can think before they answer are told not to."""
    rendered: str = tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in messages],
        chat_template=chat_template,
        add_generation_prompt=add_generation_prompt,
        tokenize=False,
        enable_thinking=False,
        strftime_now=_fixed_strftime,
    )
    return rendered


def encode_messages(
    tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message], text: str
) -> list[int]:
    """Ids of the rendered messages, generation prompt included.

    Special tokens that the template writes become special ids; the same strings inside a message stay plain text.
    `text` is the example's text, which stands inside a message: it tells which field a template ignores.

    Raises:
        RecipeError: the template leaves out what a message says.
    """
    if chat_template.startswith(CONTENTS_APART):
        return _encode_contents_apart(tokenizer, chat_template, messages)
    specials = _special_tokens(tokenizer)
    contents = "".join(message.content for message in messages)
    found = [special for special in specials if special in contents]
    if not found:
        rendered = render_template(tokenizer, chat_template, messages)
        _require_complete(rendered, messages, text)
        return _encode_with_specials(tokenizer, rendered)
    stand_ins = dict(zip(found, _unused_characters(contents), strict=False))
    masked = [Message(message.role, _replace(message.content, stand_ins)) for message in messages]
    rendered = render_template(tokenizer, chat_template, masked)
    _require_complete(rendered, masked, _replace(text, stand_ins))
    originals = {stand_in: special for special, stand_in in stand_ins.items()}
    ids: list[int] = []
    for piece, is_special in _split_at(rendered, specials, tokenizer):
        ids += [tokenizer.convert_tokens_to_ids(piece)] if is_special else encode_text(tokenizer, _replace(piece, originals))
    return ids


def _encode_contents_apart(tokenizer: PreTrainedTokenizerBase, chat_template: str, messages: Sequence[Message]) -> list[int]:
    """As `encode_messages`, for a template that opens with `CONTENTS_APART`."""
    unused = _unused_characters("".join(message.content for message in messages))
    contents = {character: message.content for character, message in zip(unused, messages, strict=False)}
    masked = [Message(message.role, character) for character, message in zip(contents, messages, strict=True)]
    rendered = render_template(tokenizer, chat_template, masked)
    _require_complete(rendered, masked, "")
    ids: list[int] = []
    for piece, is_special in _split_at(rendered, _special_tokens(tokenizer), tokenizer):
        if is_special:
            ids.append(tokenizer.convert_tokens_to_ids(piece))
            continue
        for part in re.split("([" + "".join(contents) + "])", piece):
            ids += encode_text(tokenizer, contents.get(part, part))
    return ids


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, generation_config: GenerationConfig | None = None) -> tuple[int, ...]:
    """Ids that end an answer: first the one with which the template ends an assistant turn, then the end-of-text ids.

    Raises:
        ModelError: neither the template nor the tokenizer ends a turn with a token.
    """
    answer = "\ue000"
    turns = (Message("user", "问"), Message("assistant", answer), Message("user", "问"))
    rendered = render_template(tokenizer, choose_template(tokenizer.chat_template), turns, add_generation_prompt=False)
    _, _, rest = rendered.partition(answer)
    pieces = _split_at(rest, _special_tokens(tokenizer), tokenizer)
    ids = [tokenizer.convert_tokens_to_ids(piece) for piece, is_special in pieces if is_special][:1]
    configured = generation_config.eos_token_id if generation_config is not None else None
    for more in (tokenizer.eos_token_id, configured):
        ids += more if isinstance(more, list) else [] if more is None else [more]
    if not ids:
        raise ModelError(
            "nothing says where an answer ends",
            where="tokenizer",
            expected="a chat template that ends turns with a special token, or an eos_token",
            fix="set eos_token in tokenizer_config.json",
        )
    return tuple(dict.fromkeys(ids))


def _encode_with_specials(tokenizer: PreTrainedTokenizerBase, rendered: str) -> list[int]:
    ids: list[int] = tokenizer(rendered, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Strings that the tokenizer turns into special ids, longest first."""
    contents = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(contents, key=len, reverse=True)


def _split_at(rendered: str, specials: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, bool]]:
    """Pieces of `rendered` and whether each is a special token; a token that strips its neighbours' blanks does so."""
    strips = {token.content: token for token in tokenizer.added_tokens_decoder.values() if token.special}
    pieces = re.split("(" + "|".join(map(re.escape, specials)) + ")", rendered) if specials else [rendered]
    for index, piece in enumerate(pieces):
        if index % 2:
            yield piece, True
            continue
        before = pieces[index - 1] if index else None
        after = pieces[index + 1] if index + 1 < len(pieces) else None
        plain = piece.lstrip() if before and strips[before].rstrip else piece
        plain = plain.rstrip() if after and strips[after].lstrip else plain
        if plain:
            yield plain, False


def _unused_characters(text: str) -> Iterator[str]:
    """Private-use characters that do not occur in `text`."""
    used = set(text)
    return (character for character in map(chr, range(0xF0000, 0xFFFFE)) if character not in used)


def _replace(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _require_complete(rendered: str, messages: Sequence[Message], text: str) -> None:
    """Raise where the template left out, or changed more than the blanks around, what a message says."""
    for message in messages:
        if message.content.strip() not in rendered:
            field = "instruction" if text.strip() in rendered and text.strip() else "text"
            raise RecipeError(
                f"the chat template leaves out the example's {field}",
                where="chat template of the base",
                expected="a template that writes every message unchanged",
                fix="correct chat_template.jinja in the base's folder",
            )
