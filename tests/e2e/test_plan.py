"""`extune check --plan`: figures before anything is downloaded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extune.data.splits import read_split
from extune.models.base_model import EMBEDDED, load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_encoder
from extune.recipe.load import load_recipe
from extune.stages.plan import plan

Extune = Callable[..., Any]


def test_an_epoch_is_what_training_will_encode(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    out = tmp_path / "plan.json"
    done = extune("check", recipe_file, "--plan", "--json", out)
    assert done.code == 0, done.err
    epoch = json.loads(out.read_text(encoding="utf-8"))["epoch"]
    recipe = load_recipe(recipe_file)
    tokenizer, base = load_tokenizer(resolve_base(EMBEDDED)), resolve_base(EMBEDDED)
    encoder = build_encoder(tokenizer, draft_contract(recipe, base, tokenizer))
    rows = [row for one in read_split(recipe.data, "train", recipe.task).examples for row in encoder.encode_rows(one)]
    assert epoch["exact"]
    assert epoch["rows"] == len(rows) == 20
    assert epoch["tokens"] == sum(len(row.ids) for row in rows)
    assert epoch["targets"] == sum(len(row.ids) - row.prompt_length for row in rows)
    assert epoch["steps"] == 10
    assert epoch["tokens"] - epoch["computed"] == epoch["prefix"] * 10
    assert f"{epoch['tokens']:,} tokens" in done.out
    assert "8 GB yes" in done.out


def test_a_base_of_a_hub_needs_no_network(recipe_file: Path, extune: Extune) -> None:
    done = extune("check", recipe_file, "--plan", "base.model=hf:Qwen/Qwen2-7B-Instruct")
    assert done.code == 0, done.err
    assert "7,615,616,512 parameters" in done.out
    assert "one a character" in done.out
    assert "8 GB no" in done.out


def test_without_data_rows_are_as_long_as_the_budgets() -> None:
    recipe = load_recipe("tcm-ner", "base.model=embedded")
    planned = plan(recipe)
    assert planned.epoch is None
    assert planned.one_row.longest == recipe.prompt.max_input_tokens + recipe.prompt.max_answer_tokens
    assert any("budget" in note or "max_input_tokens" in note for note in planned.notes)


def test_each_saving_is_one() -> None:
    def needed(*overrides: str) -> int:
        planned = plan(load_recipe("tcm-ner", "base.model=hf:Qwen/Qwen2-7B-Instruct", *overrides))
        return planned.total(planned.one_row)

    plain = needed()
    assert needed("training.gradient_checkpointing=true") < plain
    assert needed("adapter.method=qlora") < plain
    assert needed("training.optim=adamw_8bit") < plain
    assert needed("prompt.max_input_tokens=256") < plain
    assert needed("adapter.method=full") > 3 * plain


def test_an_unknown_base_is_an_error(recipe_file: Path, extune: Extune) -> None:
    done = extune("check", recipe_file, "--plan", "base.model=hf:nobody/nothing")
    assert done.code == 2
    assert "not known here" in done.err


@pytest.mark.parametrize("recipe", ["fudan-news", "tcm-ner-ptuning"])
def test_shipped_recipes_can_be_planned(recipe: str, extune: Extune) -> None:
    assert extune("check", recipe, "--plan", "base.model=embedded").code == 0


def test_several_gpus_divide_what_the_strategy_divides(extune: Extune) -> None:
    words = ["--plan", "base.model=hf:Qwen/Qwen2-7B-Instruct", "adapter.method=full", "--nproc", 8]
    needed = {}
    for strategy in ("ddp", "zero1", "zero2", "fsdp"):
        done = extune("check", "tcm-ner", *words, f"parallel.strategy={strategy}")
        assert done.code == 0, done.err
        assert f"one of 8 GPUs, parallel.strategy: {strategy}" in done.out
        needed[strategy] = float(re.findall(r"\ball\W+([\d.]+)", done.out)[0])
    assert needed["ddp"] > needed["zero1"] > needed["zero2"] > needed["fsdp"]
    alone = extune("check", "tcm-ner", *words[:-2], "parallel.strategy=zero2")
    assert "divides nothing with one GPU" in alone.out
