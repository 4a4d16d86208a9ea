"""`extune show`: one example as the model sees it. In: a recipe and a row. Out: text, trained or not.

It loads no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from extune.data.splits import read_split
from extune.domain.example import Example
from extune.errors import DataError
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.look_up import find_of, fit_lookup
from extune.predicting.open import build_encoder
from extune.recipe.sections import Recipe
from extune.tokens.plain_text import decode_completion


@dataclass(frozen=True)
class ShownRow:
    """One training row.

    Attributes:
        prompt: template, instruction and text; nothing of it is trained.
        answer: what is trained, the stop token included, one string per token.
        prompt_tokens: length of the prompt in tokens.
    """

    example_id: str
    source: str
    prompt: str
    answer: tuple[str, ...]
    prompt_tokens: int


def show(recipe: Recipe, *, split: str = "train", row: int | None = None, line: int | None = None) -> tuple[ShownRow, ...]:
    """The rows that one example becomes: one, or one per window, or none where it is dropped.

    Args:
        recipe: names the data, the base and the format.
        split: `train`, `dev` or `test`.
        row: 1-based number of the example in its file; 1 where `line` is not given either.
        line: instead of `row`: any line of the file that belongs to the example.

    Raises:
        DataError: no such row or line, or the example cannot be encoded.
    """
    examples = read_split(recipe.data, split, recipe.task).examples
    example = _at_line(examples, line) if line is not None else _at_row(examples, 1 if row is None else row)
    base = resolve_base(recipe.base.model, recipe.base.revision, recipe.base.endpoint)
    tokenizer = load_tokenizer(base)
    lookup = fit_lookup(recipe)
    contract = draft_contract(recipe, base, tokenizer, lookup=lookup)
    encoder = build_encoder(tokenizer, contract, find_of(lookup) if split == "train" else None)
    return tuple(
        ShownRow(
            example_id=example.id,
            source=str(example.source or ""),
            prompt=decode_completion(tokenizer, encoded.ids[: encoded.prompt_length]),
            answer=tuple(decode_completion(tokenizer, [token]) for token in encoded.ids[encoded.prompt_length :]),
            prompt_tokens=encoded.prompt_length,
        )
        for encoded in encoder.encode_rows(example)
    )


def _at_row(examples: tuple[Example, ...], row: int) -> Example:
    if 1 <= row <= len(examples):
        return examples[row - 1]
    raise DataError(f"there is no row {row}", expected=f"a number from 1 to {len(examples)}", fix="--row 1")


def _at_line(examples: tuple[Example, ...], line: int) -> Example:
    """The last example that begins at or before `line`."""
    started = [example for example in examples if example.source is not None and example.source.line <= line]
    if line >= 1 and started:
        return started[-1]
    raise DataError(
        f"no example stands in line {line}", expected="a line of the file that belongs to an example", fix="--row 1"
    )
