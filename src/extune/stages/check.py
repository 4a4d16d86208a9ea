"""`extune check`: everything that can be known about a recipe's data before training.

In: a recipe. Out: what was read, findings, and corrected copies of the files where they are asked for. It loads the base's
tokenizer, never its weights.
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from extune.data.checks.doctor import examine
from extune.data.checks.gold import count_open_occurrences
from extune.data.checks.report import CheckReport
from extune.data.checks.tokens import Measured, Outcome
from extune.domain.example import Example
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.look_up import TrainingLookup, find_of, finder, fit_lookup
from extune.predicting.open import build_encoder
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract
from extune.tokens.lengths import LengthReport
from extune.tokens.plain_text import decode_completion, encode_text


def check(recipe: Recipe, *, fix: Path | str | None = None) -> CheckReport:
    """Read and encode every split, row by row; what is wrong becomes a finding instead of an exception.

    Args:
        recipe: whose data are looked at.
        fix: a new folder for corrected copies of the files; None writes none.

    Raises:
        ExtuneError: the base's tokenizer cannot be loaded, or `fix` holds something already.
    """
    base = resolve_base(recipe.base.model, recipe.base.revision, recipe.base.endpoint)
    tokenizer = load_tokenizer(base)
    lenient = recipe.data.model_copy(update={"on_bad_row": "skip"})  # wrong rows become findings
    lookup = fit_lookup(recipe.model_copy(update={"data": lenient}))
    tokenizing = _Tokenizing(tokenizer, draft_contract(recipe, base, tokenizer, lookup=lookup), lookup)
    return examine(recipe.data, recipe.task, tokenizing, None if fix is None else Path(fix))


class _Tokenizing:
    """Lends the encoder that training uses to the data doctor."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, contract: Contract, lookup: TrainingLookup | None) -> None:
        self._tokenizer, self._contract = tokenizer, contract
        self._find_in_train, self._find = find_of(lookup), finder(contract)

    def measure(self, example: Example, split: str, /) -> Measured:
        """Encode an example with its answer, as for training."""
        # A new encoder each time: it remembers what it dropped.
        encoder = build_encoder(self._tokenizer, self._contract, self._find_in_train if split == "train" else self._find)
        rows = encoder.encode_rows(example)
        lengths = encoder.length_report
        return Measured(
            tokens=len(encode_text(self._tokenizer, example.text)),
            longest=max((len(row.ids) for row in rows), default=0),
            outcome=_outcome(lengths),
            open_occurrences=count_open_occurrences(encoder.task, encoder.answer_format, example),
        )

    def round_trip(self, text: str) -> str:
        """Encode and decode plain text."""
        return decode_completion(self._tokenizer, encode_text(self._tokenizer, text))


def _outcome(lengths: LengthReport) -> Outcome:
    """What became of the only example that was encoded."""
    if lengths.dropped:
        return "dropped"
    if lengths.windowed:
        return "windowed"
    return "shortened" if lengths.shortened else "kept"
