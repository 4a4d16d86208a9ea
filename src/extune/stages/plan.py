"""`extune check --plan`: memory and tokens of a training, before a weight is downloaded and a GPU is paid for.

In: a recipe. Out: bytes of each part, on which GPU they fit, tokens of an epoch. It needs the base's config, or its name where
that is a public one, and loads no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extune.data.splits import name_split, read_split
from extune.models.base_config import find_config
from extune.models.base_model import EMBEDDED, load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.look_up import find_of, fit_lookup
from extune.predicting.open import build_encoder
from extune.recipe.sections import BaseSection, Recipe
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import shared_prefix_length
from extune.training.memory_estimate import ModelMemory, fits, measure_model
from extune.training.memory_of_activations import PackShape
from extune.training.memory_plan import MOST_TOKENS
from extune.training.precision import Precision, precision_where

GPUS = (8, 16, 24, 80)
"""Memory of usual GPUs, in GiB."""
GIB = 1 << 30
_ANY_LENGTH = 1 << 30


@dataclass(frozen=True)
class EpochCount:
    """What an epoch has, and its longest row.

    Attributes:
        rows: of training; windows of one example count each.
        tokens: of all rows.
        computed: tokens that the model computes where a batch makes one pack: the prefix that it shares is counted once.
        targets: tokens that are learned.
        steps: of the optimizer.
        prefix: tokens that all rows share; 0 where some row is longer than the budgets in tokens of another tokenizer.
        exact: counted with the base's tokenizer; else with the embedded base's, a token a character, which is more.
    """

    rows: int
    tokens: int
    computed: int
    targets: int
    steps: int
    prefix: int
    longest_prompt: int
    longest_answer: int
    exact: bool


@dataclass(frozen=True)
class TrainingPlan:
    """A training, planned for GPUs that multiply bfloat16: the memory of one.

    Attributes:
        strategy: what they divide. processes: GPUs that train together.
        origin: where the base's config is from.
        memory: of the model.
        one_row: the longest row alone, which is the least that has to fit.
        batch: as much of a batch as one pack takes.
        epoch: None where the recipe names no training data.
        notes: what the figures have to be read with, one sentence each.
    """

    recipe: str
    base: str
    method: str
    strategy: str
    processes: int
    origin: str
    precision: Precision
    memory: ModelMemory
    one_row: PackShape
    batch: PackShape
    epoch: EpochCount | None
    notes: tuple[str, ...]

    def total(self, pack: PackShape) -> int:
        """Bytes with this pack under way."""
        return self.memory.fixed.total + sum(self.memory.varying(pack))

    def fitting(self) -> dict[int, bool]:
        """For each size in `GPUS` whether the longest row can be trained."""
        return {size: fits(self.total(self.one_row), size * GIB) for size in GPUS}

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; sizes in bytes."""
        packs = {
            name: asdict(pack) | dict(zip(("activations", "logits"), self.memory.varying(pack), strict=True))
            | {"total": self.total(pack)}
            for name, pack in (("one_row", self.one_row), ("batch", self.batch))
        }  # fmt: skip
        return {
            "recipe": self.recipe,
            "base": self.base,
            "method": self.method,
            "strategy": self.strategy,
            "processes": self.processes,
            "config": self.origin,
            "weights_dtype": self.precision.weights,
            "autocast": self.precision.autocast,
            "parameters": self.memory.parameters,
            "trained": self.memory.trained,
            "fixed": asdict(self.memory.fixed),
            "packs": packs,
            "fits_gib": {str(size): fitting for size, fitting in self.fitting().items()},
            "epoch": None if self.epoch is None else asdict(self.epoch),
            "notes": list(self.notes),
        }


def plan(recipe: Recipe, processes: int = 1) -> TrainingPlan:
    """Measure a training without doing it.

    Args:
        recipe: of the training.
        processes: that train together, each on a GPU of its own.

    Raises:
        RecipeError: the base's config is not here and its shape is not known.
        DataError: the training data that the recipe names cannot be read.
    """
    found = find_config(recipe.base.model, recipe.base.revision)
    precision = precision_where(recipe.base.dtype, recipe.adapter.method, gpu=True, native=True)
    memory = measure_model(found.config, recipe, precision, processes)
    epoch = _count_epoch(recipe, found.folder, processes)
    prompt = recipe.prompt.max_input_tokens if epoch is None else epoch.longest_prompt
    answer = recipe.prompt.max_answer_tokens if epoch is None else epoch.longest_answer
    shared = memory.obstacle is None
    prefix = epoch.prefix if epoch is not None and shared else 0
    longest = prompt + answer
    rows = recipe.training.per_device_train_batch_size
    room = (MOST_TOKENS - prefix) // max(longest - prefix, 1) if shared else MOST_TOKENS // longest
    rows = max(1, min(rows, room))
    return TrainingPlan(
        recipe=recipe.name,
        base=recipe.base.model,
        method=recipe.adapter.method,
        strategy=recipe.parallel.strategy,
        processes=processes,
        origin=found.origin,
        precision=precision,
        memory=memory,
        one_row=PackShape(1, prefix, longest, answer, shared),
        batch=PackShape(rows, prefix, longest, rows * answer, shared),
        epoch=epoch,
        notes=_list_notes(recipe, memory, epoch, processes),
    )


def _list_notes(recipe: Recipe, memory: ModelMemory, epoch: EpochCount | None, processes: int) -> tuple[str, ...]:
    notes = ["weights, adapter, gradients and optimizer are counted; activations and logits are upper estimates"]
    if epoch is None:
        notes.append("data.train is not named: every row counts as long as prompt.max_input_tokens and max_answer_tokens allow")
    elif not epoch.exact:
        notes.append("the base's tokenizer is not here: tokens are counted one a character, which is more than it needs")
    if recipe.training.gradient_checkpointing == "auto":
        notes.append(
            "without gradient checkpointing, which auto turns on where the longest row does not fit into the free memory"
        )
    if processes == 1 and recipe.parallel.strategy != "ddp":
        notes.append(f"parallel.strategy: {recipe.parallel.strategy} divides nothing with one GPU; --nproc N plans for N")
    if memory.obstacle is not None:
        notes.append(f"batches are padded and do not share their prefix: {memory.obstacle}")
    return tuple(notes)


def _count_epoch(recipe: Recipe, folder: Path | None, processes: int) -> EpochCount | None:
    """Encode the training data, as training does where the base's tokenizer is here."""
    if name_split(recipe.data, "train") is None:
        return None
    examples = read_split(recipe.data, "train", recipe.task).examples
    lookup = fit_lookup(recipe, examples)
    exact = folder is not None and (folder / "tokenizer.json").is_file()
    base = folder if exact and folder is not None else resolve_base(EMBEDDED)
    tokenizer = load_tokenizer(base)
    if exact:
        contract = draft_contract(recipe, base, tokenizer, lookup=lookup)
    else:  # budgets count the base's tokens, so that here none may be enforced
        small = recipe.prompt.model_copy(update={"max_input_tokens": 16, "max_answer_tokens": 4})
        other = recipe.model_copy(update={"base": BaseSection(model=EMBEDDED), "prompt": small})
        contract = draft_contract(other, base, tokenizer, lookup=lookup)
        contract = contract.model_copy(update={"max_input_tokens": _ANY_LENGTH, "max_answer_tokens": _ANY_LENGTH})
    encoder = build_encoder(tokenizer, contract, find_of(lookup))
    rows = [row for example in examples for row in encoder.encode_rows(example)]
    return _count_rows(recipe, rows, exact, processes) if rows else None


def _count_rows(recipe: Recipe, rows: Sequence[EncodedRow], exact: bool, processes: int) -> EpochCount:
    """Counts; what is longer than the budgets counts as long as they are."""
    most_prompt, most_answer = recipe.prompt.max_input_tokens, recipe.prompt.max_answer_tokens
    size, training = recipe.training.per_device_train_batch_size, recipe.training
    clipped = any(row.prompt_length > most_prompt for row in rows)
    prefix = 0 if clipped else shared_prefix_length(rows)  # of a clipped row nobody knows how much is the prefix
    prompts = [min(row.prompt_length, most_prompt) for row in rows]
    answers = [min(len(row.ids) - row.prompt_length, most_answer) for row in rows]
    batches = math.ceil(len(rows) / size)
    tokens = sum(prompts) + sum(answers)
    return EpochCount(
        rows=len(rows),
        tokens=tokens,
        computed=tokens - prefix * (len(rows) - batches) if training.packing == "shared_prefix" else tokens,
        targets=sum(answers),
        steps=math.ceil(math.ceil(len(rows) / (size * processes)) / training.gradient_accumulation_steps),
        prefix=prefix,
        longest_prompt=max(prompts),
        longest_answer=max(answers),
        exact=exact,
    )
