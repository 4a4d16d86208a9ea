"""From a legacy checkpoint to predictions: by `import-base`, and by naming the folder in a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.models.legacy.made_checkpoints import write_checkpoint

from extune.engines.constraint import GrammarCompiler
from extune.engines.engine import DecodingOptions
from extune.predicting.open import load_predictor
from extune.runs.contract import read_contract

FAMILIES = ("qwen1", "baichuan1", "baichuan2", "chatglm2", "chatglm3")
TRAINING = (
    "prompt.max_answer_tokens=96",
    "adapter.r=4",
    "training.max_steps=3",
    "selection.eval_steps=3",
    "training.logging_steps=1",
    "selection.metric=loss",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may write into the user's own cache."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def golden_folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "legacy"
    if not folder.is_dir():
        pytest.skip("the golden legacy checkpoints (../shared/fixtures/legacy) are not here")
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_trains_on_a_legacy_folder_and_predicts(
    family: str, extune: Callable[..., Any], golden_folder: Path, recipe_file: Path, tmp_path: Path
) -> None:
    base, run = golden_folder / family / "checkpoint_bin", tmp_path / "run"
    done = extune("train", recipe_file, f"base.model={base}", *TRAINING, "--out", run)
    assert done.code == 0, done.err
    contract = read_contract(run)
    assert contract.base == str(base)
    losses = [json.loads(line).get("loss") for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(loss is not None and loss > 0 for loss in losses) >= 3
    trained = load_file(run / "adapter" / "adapter_model.safetensors")
    assert any(tensor.abs().max() > 0 for name, tensor in trained.items() if "lora_B" in name)
    predictor = load_predictor(run, device="cpu", options=DecodingOptions(max_new_tokens=16))
    text = "患者头痛3日，服黄芪。"
    spans = predictor.predict(text).spans
    assert all(text[span.start : span.end] == span.text for span in spans)


@pytest.mark.parametrize("family", ["qwen1", "baichuan2", "chatglm3"])
def test_the_grammar_allows_what_is_learned(family: str, recipe_file: Path, tmp_path: Path) -> None:
    """Also for tokenizers that begin every text with a blank."""
    from extune.data.splits import read_split
    from extune.models.base_model import load_tokenizer, resolve_base
    from extune.predicting.draft import draft_contract
    from extune.predicting.open import build_encoder
    from extune.recipe.load import load_recipe

    source = write_checkpoint(tmp_path / "legacy", family)
    recipe = load_recipe(str(recipe_file), f"base.model={source}", "prompt.max_answer_tokens=96")
    folder = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(folder)
    contract = draft_contract(recipe, folder, tokenizer)
    encoder = build_encoder(tokenizer, contract)
    compiler = GrammarCompiler(tokenizer, len(tokenizer), contract.stop_token_ids)
    for example in read_split(recipe.data, "train", recipe.task).examples[:3]:
        (row,), (prompt,) = encoder.encode_rows(example), encoder.encode_prompts(example)
        matcher = compiler.compile(prompt)
        assert matcher is not None
        for token in row.ids[row.prompt_length :]:
            assert compiler.allowed([matcher])[0][token]
            matcher.accept(token)


def test_import_base_says_what_it_wrote_and_its_limits(extune: Callable[..., Any], tmp_path: Path) -> None:
    done = extune("import-base", write_checkpoint(tmp_path / "legacy", "qwen1"), tmp_path / "native")
    assert done.code == 0, done.err
    assert "Qwen-1 as Qwen2ForCausalLM, 27 tensors" in done.out
    assert "limit: Exact up to 8192 tokens" in done.err
    assert "next: extune check RECIPE base.model=" in done.err
    done = extune("import-base", tmp_path / "legacy", tmp_path / "native")
    assert (done.code, "exists already" in done.err) == (2, True)
    done = extune("import-base", tmp_path / "nowhere", tmp_path / "other")
    assert (done.code, "does not exist" in done.err) == (2, True)


def test_adapters_need_their_base(extune: Callable[..., Any], golden_folder: Path, tmp_path: Path) -> None:
    source = golden_folder / "qwen1" / "lora_adapter_legacy"
    done = extune("import-base", source, tmp_path / "adapter")
    assert (done.code, "--base BASE" in done.err) == (2, True)
    base = golden_folder / "qwen1" / "checkpoint_bin"
    done = extune("import-base", source, tmp_path / "adapter", "--base", base)
    assert done.code == 0, done.err
    assert "LoRA adapter, " in done.out
    prefix, chatglm = golden_folder / "chatglm3" / "ptuning_v2_checkpoint", golden_folder / "chatglm3" / "checkpoint_bin"
    done = extune("import-base", prefix, tmp_path / "prefix")
    assert (done.code, "--base" in done.err) == (1, True)
    done = extune("import-base", prefix, tmp_path / "prefix", "--base", chatglm)
    assert (done.code, "prefix of 6 tokens" in done.out) == (0, True)
    done = extune("import-base", base, tmp_path / "third", "--base", base)
    assert (done.code, "holds no adapter" in done.err) == (2, True)


def test_a_look_alike_is_refused_in_a_recipe_too(extune: Callable[..., Any], recipe_file: Path, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "baichuan2", max_position_embeddings=None)
    for words in (("check", recipe_file, f"base.model={source}"), ("import-base", source, tmp_path / "out")):
        done = extune(*words)
        assert done.code == 1
        assert "ALiBi" in done.err
        assert "fix: use Baichuan2-7B" in done.err


def test_a_family_can_be_named(extune: Callable[..., Any], tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "chatglm3", _name_or_path="output/checkpoint-1000")
    done = extune("import-base", source, tmp_path / "native")
    assert (done.code, "--family chatglm2 or chatglm3" in done.err) == (1, True)
    done = extune("import-base", source, tmp_path / "native", "--family", "chatglm3")
    assert done.code == 0, done.err


def test_budgets_beyond_the_positions_are_refused(extune: Callable[..., Any], recipe_file: Path, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "qwen1", seq_length=1024)
    done = extune("check", recipe_file, f"base.model={source}")
    assert done.code == 2
    assert "the base has 1024 positions" in done.err
    assert "fix: prompt.max_input_tokens=1000" in done.err
