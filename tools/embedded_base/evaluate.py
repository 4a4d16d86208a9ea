"""What the base can do before anybody fine-tunes it.

In: a folder in Hugging Face layout and held-out rows, each with its own types. Out: a strict score against the rules' labels.
Prompts, decoding, alignment and score are extune's own.
"""

from __future__ import annotations

import json
from pathlib import Path

from extune.domain.annotation import Extraction, Span
from extune.domain.task import ExtractionTask
from extune.evaluation.metrics import ExtractionScore, score_extraction
from extune.models.base_model import load_base, load_tokenizer
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_predictor
from extune.recipe.sections import PromptSection, Recipe


def score_held_out(base: Path, rows: Path) -> ExtractionScore:
    """Strict score over held-out rows; each is asked for its own types."""
    model, tokenizer = load_base(base, "float32", "cpu"), load_tokenizer(base)
    gold: dict[str, Extraction] = {}
    found: dict[str, Extraction] = {}
    types: dict[str, None] = {}
    for line in rows.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        row = json.loads(line)
        recipe = Recipe(task=ExtractionTask(types=row["types"]), prompt=PromptSection(max_input_tokens=2048))
        predictor = build_predictor(model, tokenizer, draft_contract(recipe, base, tokenizer, dtype="float32"))
        spans = (Span(one["type"], one["text"], one["start"], one["end"]) for one in row["entities"])
        gold[row["id"]], found[row["id"]] = Extraction(tuple(spans)), predictor.predict(row["text"])
        types |= dict.fromkeys(row["types"])
    return score_extraction(gold, found, list(types))
