"""A training is the same with stored rows, with stored rows again and without a store; and says the same of its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from extune.data.splits import read_split
from extune.errors import DataError
from extune.models.base_model import EMBEDDED, resolve_base
from extune.predicting import training_rows
from extune.predicting.draft import draft_contract
from extune.predicting.encoding import BatchEncoder, RememberingEncoder, build_encoder
from extune.predicting.training_rows import prepare_rows
from extune.recipe.load import load_recipe
from extune.recipe.sections import Recipe
from extune.stages.train import train
from extune.tokens.encoding_processes import encode_batches
from extune.tokens.token_store import TokenStore

BASE = resolve_base(EMBEDDED)
LONG = '{"text": "%s", "entities": [{"start": 0, "end": 2, "type": "中药"}], "extra": 1}\n' % ("黄芪，" * 200)


@pytest.fixture
def recipe(recipe_file: Path, tmp_path: Path) -> Recipe:
    """The small recipe with a row too long and a row that is wrong."""
    rows = (recipe_file.parent / "train.jsonl").read_text(encoding="utf-8")
    (tmp_path / "train.jsonl").write_text(rows + LONG + "no\n", encoding="utf-8")
    changes = (f"data.train={tmp_path / 'train.jsonl'}", "data.on_bad_row=skip", "data.on_too_long=drop")
    return load_recipe(recipe_file, *changes, "prompt.max_input_tokens=400", "training.max_steps=2")


def changed(recipe: Recipe, **data: Any) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})


def prepare(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, root: Path) -> training_rows.TrainingRows:
    return prepare_rows(recipe, BatchEncoder(tokenizer, draft_contract(recipe, BASE, tokenizer)), BASE, root)


def test_training_is_the_same_to_the_bit(recipe: Recipe, tmp_path: Path) -> None:
    runs = {
        "stored": train(recipe, tmp_path / "stored"),
        "reused": train(recipe, tmp_path / "reused"),
        "memory": train(changed(recipe, cache=False), tmp_path / "memory"),
    }
    manifests = {name: json.loads(run.manifest_file.read_text(encoding="utf-8")) for name, run in runs.items()}
    weights = {(run.path / "adapter" / "adapter_model.safetensors").read_bytes() for run in runs.values()}
    losses = {tuple(json.loads(line)["loss"] for line in run.log.open() if '"loss"' in line) for run in runs.values()}
    assert len(weights) == len(losses) == 1
    assert [manifests[name]["training"]["rows_reused"] for name in runs] == [False, True, False]
    described = manifests["stored"]["data"]
    assert [one["data"] for one in manifests.values()] == [described] * 3
    train_split = described["train"]
    assert train_split["dropped"] == ["train-21"]
    assert (train_split["examples"], train_split["gold_spans"], train_split["skipped"]) == (21, 41, 1)
    assert train_split["notes"] == ["key 'extra' ignored, 1 times"]
    assert train_split["skipped_rows"][0].startswith("22: not JSON")


def test_other_data_or_settings_are_never_taken_from_the_store(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    root, path = tmp_path / "root", Path(recipe.data.train or "")
    first = prepare(recipe, tokenizer, root)
    assert isinstance(first.rows, TokenStore)
    assert not first.reused
    assert prepare(recipe, tokenizer, root).reused
    assert not prepare(changed(recipe, train_limit=3), tokenizer, root).reused
    fewer = recipe.model_copy(update={"prompt": recipe.prompt.model_copy(update={"max_input_tokens": 900})})
    assert len(prepare(fewer, tokenizer, root).rows) == len(first.rows) + 1
    path.write_text(path.read_text(encoding="utf-8").replace("黄芪", "桂枝"), encoding="utf-8")
    second = prepare(recipe, tokenizer, root)
    assert not second.reused
    assert list(second.rows) != list(first.rows)
    assert second.provenance.sha256 != first.provenance.sha256


def test_data_that_change_while_they_are_read_are_refused(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = BatchEncoder.encode

    def disturb(self: BatchEncoder, examples: Any) -> Any:
        with Path(recipe.data.train or "").open("a", encoding="utf-8") as file:
            file.write("\n")
        return encode(self, examples)

    monkeypatch.setattr(BatchEncoder, "encode", disturb)
    with pytest.raises(DataError, match="changed while it was read"):
        prepare(recipe, tokenizer, tmp_path / "root")
    assert not [path for path in (tmp_path / "root").iterdir() if path.is_dir()]


def test_where_nothing_can_be_kept_rows_stay_in_memory(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    kept = prepare(recipe, tokenizer, tmp_path / "root").rows
    assert prepare(recipe, tokenizer, tmp_path / "file").rows == list(kept)
    assert "kept in memory" in caplog.text


def test_processes_encode_what_one_encodes(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
    examples = read_split(recipe.data, "train", recipe.task).examples
    encode = BatchEncoder(tokenizer, draft_contract(recipe, BASE, tokenizer))
    (alone,) = encode_batches(examples, encode, processes=1)
    (there,) = encode_batches(examples, encode, processes=2, alone=0)
    assert there.rows.equals(alone.rows)
    assert (there.lengths, there.counts) == (alone.lengths, alone.counts)


def test_prompts_are_encoded_once(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
    contract = draft_contract(recipe, BASE, tokenizer)
    kept, other, long = (read_split(recipe.data, "train", recipe.task).examples[at] for at in (0, 1, 20))
    encoder, plain = RememberingEncoder(tokenizer, contract, [kept.id, long.id]), build_encoder(tokenizer, contract)
    for example in (kept, other, long):
        assert encoder.encode_prompts(example) == plain.encode_prompts(example)
    assert encoder.encode_prompts(kept) is encoder.encode_prompts(kept)
    assert encoder.encode_prompts(long) == ()
    assert encoder.length_report == plain.length_report
