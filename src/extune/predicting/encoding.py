"""Wires encoders: with windows and shortened texts, for one example or for a batch in another process.

In: a tokenizer and a contract. Out: rows of token ids and what to count of them. It loads no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from extune.data.checks.gold import count_open_occurrences
from extune.data.field_windows import assign_fields
from extune.data.shortening import shorten_middle
from extune.data.windows import assign_gold, split_windows
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.domain.task import RecordTask
from extune.predicting.look_up import TrainingLookup, find_of, finder
from extune.runs.contract import Contract
from extune.tokens.encode import AssignGold, EncodedRow, Encoder, Find
from extune.tokens.token_store import EncodedBatch, Totals, pack_rows


def build_encoder(tokenizer: PreTrainedTokenizerBase, contract: Contract, find: Find | None = None) -> Encoder:
    """An encoder that can make windows, shorten texts and look up strings.

    Args:
        tokenizer: of the base.
        contract: everything else.
        find: looks up strings; for training rows that of their `TrainingLookup`. None: `finder(contract)`.
    """
    find = finder(contract) if find is None else find
    return Encoder(tokenizer, contract, split_windows, _assignment(contract), shorten_middle, find)


def _assignment(contract: Contract) -> AssignGold:
    return assign_fields if isinstance(contract.task, RecordTask) else assign_gold


class RememberingEncoder(Encoder):
    """An encoder as `build_encoder` makes it, which encodes prompts that are asked for again and again once.

    Args:
        tokenizer: of the base.
        contract: as for `build_encoder`.
        keep: ids of the examples whose prompts are remembered.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, contract: Contract, keep: Iterable[str]) -> None:
        super().__init__(tokenizer, contract, split_windows, _assignment(contract), shorten_middle, finder(contract))
        self._keep = frozenset(keep)
        self._prompts: dict[str, tuple[Prompt, ...]] = {}

    def encode_prompts(self, example: Example) -> tuple[Prompt, ...]:
        """As of the encoder, counted once."""
        if example.id not in self._prompts:
            prompts = super().encode_prompts(example)
            if example.id not in self._keep:
                return prompts
            self._prompts[example.id] = prompts
        return self._prompts[example.id]


@dataclass(frozen=True)
class BatchEncoder:
    """Encodes training examples batch by batch; can be sent to another process.

    Attributes:
        lookup: of a contract with a look-up.
    """

    tokenizer: PreTrainedTokenizerBase
    contract: Contract
    lookup: TrainingLookup | None = None

    def __call__(self, examples: Sequence[Example]) -> EncodedBatch:
        """The rows of the examples, ready to be stored.

        Raises:
            ExtuneError: as `Encoder.encode_rows`, of the first example that has one.
        """
        rows, totals = self.encode(examples)
        return EncodedBatch(pack_rows(rows), totals.lengths, totals.counts)

    def encode(self, examples: Sequence[Example]) -> tuple[list[EncodedRow], Totals]:
        """The rows themselves, and what there is to say of the examples."""
        encoder = build_encoder(self.tokenizer, self.contract, find_of(self.lookup))  # a new one: it remembers what it dropped
        rows = [row for example in examples for row in encoder.encode_rows(example)]
        return rows, Totals(encoder.length_report, count_examples(encoder, examples))


def count_examples(encoder: Encoder, examples: Sequence[Example]) -> dict[str, int]:
    """What a manifest says of examples in numbers."""
    golds = [example.gold for example in examples if isinstance(example.gold, Extraction)]
    opened = (count_open_occurrences(encoder.task, encoder.answer_format, example) for example in examples)
    return {"examples": len(examples), "gold_spans": sum(len(gold.spans) for gold in golds), "open_occurrences": sum(opened)}
