"""A predictor whose answers come from a server. In: a recipe and an engine that asks one. Out: a `Predictor`, and shots.

Messages are those of every other engine. Lengths are the server's matter: every text is sent whole, since a budget in tokens of
the recipe's base means nothing there; what the server finds too long counts as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from extune.data.shots import choose_shots
from extune.domain.example import Example
from extune.engines.engine import Engine
from extune.evaluation.scoring import require_gold
from extune.models.base_model import EMBEDDED, load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.look_up import TrainingLookup, find_of
from extune.predicting.open import build_encoder
from extune.predicting.predictor import Predictor
from extune.prompts.formats.base import require_representable
from extune.recipe.sections import BaseSection, Recipe
from extune.runs.contract import Contract
from extune.tokens.lengths import where_is

_ANY_LENGTH = 1 << 30


def open_endpoint(recipe: Recipe, engine: Engine, lookup: TrainingLookup | None = None) -> Predictor:
    """The predictor of a server for the task and format of a recipe; its base, prompt budget and constraint do not count.

    Args:
        recipe: whose task is asked.
        engine: asks the server.
        lookup: of the training examples, where the recipe shows one.
    """
    folder = resolve_base(EMBEDDED)
    tokenizer = load_tokenizer(folder)  # counts nothing here: messages are what is sent
    small = recipe.prompt.model_copy(update={"max_input_tokens": 16, "max_answer_tokens": 4})
    contract = draft_contract(
        recipe.model_copy(update={"base": BaseSection(model=EMBEDDED), "prompt": small}), folder, tokenizer, lookup=lookup
    )
    contract = contract.model_copy(
        update={"max_input_tokens": _ANY_LENGTH, "max_answer_tokens": _ANY_LENGTH, "on_too_long": "error", "constrain": False}
    )
    return Predictor(build_encoder(tokenizer, contract), engine)


def show_before(
    contract: Contract, tokenizer: PreTrainedTokenizerBase, train: Sequence[Example], count: int, lookup: TrainingLookup | None
) -> tuple[tuple[str, str], ...]:
    """Chosen training examples as turns: what the prompt of a training row asks of each, and the answer to learn.

    Raises:
        FormatError: the answer format cannot hold a chosen gold annotation.
    """
    encoder = build_encoder(tokenizer, contract, find_of(lookup))
    turns = []
    for shot in choose_shots(train, count):
        (prompt,) = encoder.encode_prompts(shot)
        task = encoder.task_of(shot)
        gold = require_gold(task, shot)
        require_representable(encoder.answer_format, task, shot.text, gold, where_is(shot))
        turns.append((prompt.messages[-1].content, encoder.answer_format.render_target(task, shot.text, gold)))
    return tuple(turns)


def with_turns(example: Example, turns: tuple[tuple[str, str], ...]) -> Example:
    """The example behind earlier turns."""
    return replace(example, history=(*turns, *example.history))
