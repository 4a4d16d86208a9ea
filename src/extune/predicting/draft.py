"""A contract before there is a run. In: a recipe and its base. Out: the contract that training and dry runs obey alike.

It describes the untrained base; training replaces `weights` when there are some.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import GenerationConfig, PreTrainedTokenizerBase

from extune.engines.engine import DecodingOptions
from extune.errors import RecipeError
from extune.models.base_model import (
    choose_device,
    choose_dtype,
    hash_base,
    hash_tokenizer,
    load_tokenizer,
    pin_base,
    resolve_base,
)
from extune.predicting.look_up import TrainingLookup, fit_lookup
from extune.predicting.open import open_base
from extune.predicting.predictor import Predictor
from extune.prompts.formats import build_format
from extune.prompts.messages import PROMPT_VERSION
from extune.prompts.templates import choose_template
from extune.prompts.user_template import PromptTemplate, read_prompt_template
from extune.recipe.sections import BaseSection, Recipe
from extune.runs.contract import Contract
from extune.runs.manifest import installed_version
from extune.tokens.rendering import stop_token_ids


def draft_contract(
    recipe: Recipe,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    dtype: str = "auto",
    base_hash: str = "",
    lookup: TrainingLookup | None = None,
) -> Contract:
    """Everything that inference with this recipe's model will obey.

    Args:
        recipe: what the user wants.
        base: folder of the base that the recipe names.
        tokenizer: of that base.
        dtype: in which inference holds the base.
        base_hash: from `hash_base`; hashing a large base takes a while, so dry runs leave it empty.
        lookup: what the recipe's look-up knows; None: it is fitted on the training data where the recipe wants one.

    Raises:
        ModelError: nothing in the base says where an answer ends.
        RecipeError: `prompt.template` is no template, or the budgets hold more tokens than the base has positions for.
    """
    _require_positions(recipe, base)
    lookup = lookup or fit_lookup(recipe)
    return Contract(
        extune_version=installed_version("extune") or "0+unknown",
        name=recipe.name,
        task=recipe.task,
        format=recipe.answer_format,
        format_version=build_format(recipe.answer_format).version,
        prompt_version=PROMPT_VERSION,
        language=recipe.prompt.language,
        template=_prompt_template(recipe),
        lookup=lookup.entries if lookup is not None else None,
        chat_template=choose_template(tokenizer.chat_template),
        max_input_tokens=recipe.prompt.max_input_tokens,
        max_answer_tokens=recipe.prompt.max_answer_tokens,
        on_too_long=recipe.data.on_too_long,
        window_overlap=recipe.data.window_overlap,
        constrain=recipe.prompt.constrain,
        min_confidence=0.0 if recipe.selection.min_confidence == "auto" else recipe.selection.min_confidence,
        stop_token_ids=stop_token_ids(tokenizer, _generation_config(base)),
        base=recipe.base.model,
        base_revision=recipe.base.revision,
        base_endpoint=recipe.base.endpoint,
        base_hash=base_hash,
        tokenizer_hash=hash_tokenizer(tokenizer),
        dtype=dtype,
        weights="base",
    )


def _prompt_template(recipe: Recipe) -> PromptTemplate | None:
    return None if recipe.prompt.template is None else read_prompt_template(Path(recipe.prompt.template))


def _require_positions(recipe: Recipe, base: Path) -> None:
    """Refuse budgets beyond the positions that the base was made for."""
    config = base / "config.json"
    positions = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings") if config.is_file() else None
    wanted = recipe.prompt.max_input_tokens + recipe.prompt.max_answer_tokens
    if positions is not None and wanted > positions:
        raise RecipeError(
            f"max_input_tokens and max_answer_tokens are {wanted} together, the base has {positions} positions",
            where="prompt.max_input_tokens",
            expected=f"at most {positions} tokens of prompt and answer (max_position_embeddings in the base's config.json)",
            fix=f"prompt.max_input_tokens={positions - recipe.prompt.max_answer_tokens}, or another base",
        )


def _generation_config(base: Path) -> GenerationConfig | None:
    if not (base / "generation_config.json").is_file():
        return None
    return GenerationConfig.from_pretrained(base, local_files_only=True)


def open_untrained(recipe: Recipe, base: str, device: str | None = None, options: DecodingOptions | None = None) -> Predictor:
    """The predictor of an untrained base for the task, format and budgets of a recipe.

    Args:
        recipe: of whose base only the dtype counts, and revision and endpoint where it is `base`.
        base: as `base.model` of a recipe.
        device: None takes the fastest one here.
        options: None is greedy decoding.

    Raises:
        RecipeError: the base or the device does not exist here.
        ModelError: the base is incomplete.
    """
    section = recipe.base if base == recipe.base.model else BaseSection(model=base, dtype=recipe.base.dtype)
    section = pin_base(section)
    changed = recipe.model_copy(update={"base": section})
    folder = resolve_base(section.model, section.revision, section.endpoint)
    chosen = choose_device(device)
    dtype = choose_dtype(recipe.base.dtype, chosen)
    contract = draft_contract(changed, folder, load_tokenizer(folder), dtype=dtype, base_hash=hash_base(folder))
    return open_base(contract, chosen, options)
