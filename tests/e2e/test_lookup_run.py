"""A training with a look-up and a least confidence: what it learned from, what it keeps, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import extune
from extune.errors import RecipeError
from extune.predicting.open import load_predictor
from extune.recipe.load import recipe_from_values
from extune.recipe.sections import Recipe
from extune.stages.check import check
from extune.stages.show import show

ROWS = [("黄芪补气", [("药", 0, 2)]), ("黄芪治咳嗽", [("药", 0, 2), ("症", 3, 5)]), ("咳嗽三天", [("症", 0, 2)])] * 2


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    file = tmp_path / "train.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number, (text, spans) in enumerate(ROWS):
            entities = [{"type": type_, "start": start, "end": end, "text": text[start:end]} for type_, start, end in spans]
            out.write(json.dumps({"id": str(number), "text": text, "entities": entities}, ensure_ascii=False) + "\n")
    return recipe_from_values(
        {
            "task": {"kind": "extraction", "types": ["药", "症"]},
            "data": {"train": str(file), "dev": str(file), "reader": "spans"},
            "prompt": {"lookup": True, "max_answer_tokens": 16},
            "training": {"max_steps": 2, "per_device_train_batch_size": 3},
            "selection": {"min_confidence": "auto"},
        }
    )


def test_the_run_predicts_with_the_strings_and_the_confidence_that_it_found(recipe: Recipe, tmp_path: Path) -> None:
    run = extune.train(recipe, tmp_path / "run")
    contract = run.contract()
    assert contract.lookup is not None
    assert contract.lookup.types == {"黄芪": "药", "咳嗽": "症"}
    assert 0 <= contract.min_confidence <= 0.6
    predictor = load_predictor(run.path)
    (prompt,) = predictor.encoder.encode_prompts(extune.Example("a", "咳嗽"))
    assert prompt.messages[-1].content.endswith("症：咳嗽")
    evaluation = extune.evaluate(run.path, "dev")
    report = json.loads((evaluation.folders[0] / "report.json").read_text(encoding="utf-8"))
    kept = [span.confidence for one in predictor.predict_many([extune.Example("a", "咳嗽")]) for span in one.annotation.spans]  # type: ignore[union-attr]
    assert all(confidence >= contract.min_confidence for confidence in kept)
    assert report["meta"]["left_out"] >= 0


def test_check_and_show_encode_as_training_does(recipe: Recipe) -> None:
    (row,) = show(recipe, row=3)
    assert row.prompt.split("供参考）：")[1].startswith("\n症：咳嗽")
    assert not [one for one in check(recipe).findings if one.severity == "error"]


def test_auto_needs_a_dev_split(recipe: Recipe, tmp_path: Path) -> None:
    without = recipe.model_copy(update={"data": recipe.data.model_copy(update={"dev": None})})
    with pytest.raises(RecipeError, match="no dev split"):
        extune.train(without, tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "said"),
    [({"prompt": {"lookup": True}}, "prompt.lookup"), ({"selection": {"min_confidence": 0.1}}, "selection.min_confidence")],
)
def test_tasks_without_items_are_refused(section: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_from_values({"task": {"kind": "generation"}, **section})
