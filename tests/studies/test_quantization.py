"""`extune quantize` from a trained run to a gated variant: with a fake llm-compressor, with bitsandbytes, with the real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.models import fake_compressor
from tests.stages.test_parity import TEXTS, write_gold
from transformers import PreTrainedTokenizerBase

from extune.cli.main import main
from extune.data.splits import read_split
from extune.errors import DataError, ExtuneError, RecipeError, RunError
from extune.files import write_json
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, hash_base, load_base, resolve_base
from extune.models.checkpoint import hash_weights, load_run_tokenizer, load_weights, save_tokenizer, save_weights
from extune.models.continuing import start_model
from extune.predicting.open import build_encoder, build_predictor
from extune.recipe.adapters import FullAdapter, LoraAdapter
from extune.recipe.load import dump_recipe, recipe_from_values
from extune.runs.contract import Contract, write_contract
from extune.runs.run_dir import RunDir, read_json
from extune.stages.merge import merge
from extune.stages.parity import parity
from extune.studies.quantization import plan_quantization

COMPRESSOR = Path(__file__).resolve().parents[2] / ".venv-compress" / "bin" / "python"
"""Where `make test-compress` puts llm-compressor."""


@pytest.fixture(scope="module")
def adapted(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> Path:
    """A run with an adapter whose dev set has its own predictions as gold; shared, so tests copy it."""
    folder = tmp_path_factory.mktemp("adapted") / "run"
    torch.manual_seed(0)
    model = add_adapter(load_base(resolve_base(EMBEDDED), "float32", "cpu"), LoraAdapter(r=4))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    save_weights(model, folder)
    save_tokenizer(tokenizer, folder)
    contract = make_contract(
        base_hash=hash_base(resolve_base(EMBEDDED)),
        weights="adapter",
        weights_hash=hash_weights(folder, "adapter"),
        max_answer_tokens=24,
    )
    rows = folder.parent / "rows.jsonl"
    write_gold(rows, build_predictor(model, tokenizer, contract))
    values: dict[str, Any] = {
        "task": contract.task.model_dump(),
        "data": {"train": str(rows), "dev": str(rows)},
        "prompt": {"max_answer_tokens": 24},
    }
    (folder / "recipe.yaml").write_text(dump_recipe(recipe_from_values(values)), encoding="utf-8")
    write_contract(folder, contract)
    return folder


@pytest.fixture(scope="module")
def merged(adapted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run after `extune merge`; shared, so tests copy it."""
    run = Path(shutil.copytree(adapted, tmp_path_factory.mktemp("merged") / "run"))
    merge(run, device="cpu")
    return run


@pytest.fixture
def run(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "run"))


def quantize(run: Path, method: str, *words: object) -> int:
    return main(["quantize", str(run), "--method", method, "--device", "cpu", *map(str, words)])


def test_a_run_with_an_adapter_is_merged_calibrated_rounded_and_compared(
    adapted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(adapted, tmp_path / "run"))
    python = fake_compressor.install(tmp_path)
    assert quantize(run, "int8", "--python", python, "--rows", 4, "--max-drop", 100) == 0
    printed = capsys.readouterr()
    assert "merging first" in printed.err
    assert "calibrated on 4 rows of train" in printed.out
    assert "parity/dev.json" in printed.out
    variant, merged = RunDir(run / "variants" / "int8"), RunDir(run / "variants" / "merged")

    # The rows are what training sees: prompts with their gold answers, and they lie evenly in the file.
    recipe, contract = variant.recipe(), variant.contract()
    encoder = build_encoder(load_run_tokenizer(variant.path, contract), contract)
    examples = read_split(recipe.data, "train", recipe.task).examples
    expected = [row.ids for number in (0, 1, 3, 4) for row in encoder.encode_rows(examples[number])]
    manifest = read_json(variant.manifest_file)
    assert [tuple(ids) for ids in manifest["seen"]] == expected
    assert manifest["calibration"] == {"split": "train", "rows": 4, "tokens": sum(map(len, expected))}
    assert manifest["quantized_from"] == merged.contract().weights_hash
    assert (variant.path / "compress.log").is_file()
    assert not list((run / "variants").glob("*.log"))

    # What the transformers engine computes with is what the 8 bits stand for; all else is the merged model's.
    computed = load_weights(variant.path, contract, "cpu")
    with torch.no_grad():
        computed(torch.tensor([expected[0]]))
    whole = load_file(merged.path / "model" / "model.safetensors")
    rounded = {name: value for name, value in computed.state_dict().items() if name.endswith("_proj.weight")}
    assert len(rounded) == 56
    for name, value in rounded.items():
        numbers, scale = fake_compressor.round_rows(whole[name].numpy())
        assert torch.allclose(value, torch.from_numpy(numbers * scale), atol=1e-7), name
    assert torch.equal(computed.state_dict()["model.embed_tokens.weight"], whole["model.embed_tokens.weight"])

    report = read_json(run / "parity" / "dev.json")
    assert report["first"]["name"] == "adapter on transformers"
    assert [one["variant"] for one in report["others"]] == ["int8"]
    assert quantize(run, "int8", "--python", python) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_variant_that_loses_too_much_is_said_so_and_stays(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize(run, "awq", "--python", fake_compressor.install(tmp_path, "doubles")) == 1
    printed = capsys.readouterr()
    assert "awq on transformers loses" in printed.err
    assert "--max-drop" in printed.err
    assert (run / "variants" / "awq" / "contract.json").is_file()


def test_nothing_is_left_of_a_quantisation_that_failed_but_its_log(run: Path, tmp_path: Path) -> None:
    assert quantize(run, "awq", "--python", fake_compressor.install(tmp_path, "fails")) == 1
    assert sorted(path.name for path in (run / "variants").iterdir()) == ["awq.log", "merged"]


def test_nf4_needs_no_other_environment_and_predicts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    assert quantize(run, "nf4", "--max-drop", 100) == 0
    assert "parity/dev.json" in capsys.readouterr().out
    variant = run / "variants" / "nf4"
    before, after = (sum(path.stat().st_size for path in (folder / "model").glob("*.safetensors")) for folder in (
        run / "variants" / "merged", variant))  # fmt: skip
    assert after < before / 2
    assert main(["predict", str(variant), "--text", TEXTS[0], "--device", "cpu"]) == 0

    # A variant is quantised or trained further from the run that it was made of.
    assert quantize(variant, "nf4") == 2
    assert "quantised (bitsandbytes)" in capsys.readouterr().err
    with pytest.raises(RecipeError, match="quantised"):
        start_model(FullAdapter(), resolve_base(EMBEDDED), RunDir(variant).contract(), "cpu", RunDir(variant))


@pytest.mark.parametrize(
    ("change", "method", "error", "said"),
    [
        (lambda _: None, "int4", RecipeError, "unknown method"),
        (lambda run: (run / "variants" / "nf4").mkdir(parents=True), "nf4", RunError, "exists already"),
        (lambda run: (run / "recipe.yaml").unlink(), "nf4", RunError, "recipe.yaml is missing"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_computed(
    change: Callable[[Path], object], method: str, error: type[ExtuneError], said: str, run: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    change(run)
    with pytest.raises(error, match=said) as caught:
        plan_quantization(run, method)
    assert caught.value.exit_code == 2


def test_a_split_that_is_not_here_is_refused_before_anything_is_computed(run: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    with pytest.raises(RecipeError, match=r"data\.test is not set"):
        plan_quantization(run, "nf4", split="test")
    with pytest.raises(DataError, match="file not found"):
        plan_quantization(run, "nf4", split="nowhere.jsonl")


def test_an_old_merge_is_not_quantised(run: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    write_json(run / "variants" / "merged" / "manifest.json", {"merged_from": "an earlier training"})
    with pytest.raises(RunError, match="was not merged from these weights"):
        plan_quantization(run, "nf4")


def test_parity_names_the_command_that_makes_a_missing_variant(run: Path) -> None:
    with pytest.raises(RunError) as caught:
        parity(run, variants=("adapter", "awq"), device="cpu")
    assert "extune quantize" in caught.value.fix
    assert "--method awq" in caught.value.fix


@pytest.mark.slow
@pytest.mark.skipif(not COMPRESSOR.exists(), reason="llm-compressor is not in .venv-compress: make test-compress")
@pytest.mark.parametrize(("method", "group_size"), [("gptq", 64), ("int8", None), ("awq", 64)])
def test_llm_compressor_writes_what_the_transformers_engine_loads(method: str, group_size: int | None, run: Path) -> None:
    assert quantize(run, method, "--python", COMPRESSOR, "--rows", 4, "--max-drop", 100) == 0
    manifest = read_json(run / "variants" / method / "manifest.json")
    assert manifest["group_size"] == group_size
    assert manifest["versions"]["llmcompressor"]
    (compared,) = read_json(run / "parity" / "dev.json")["others"]
    assert compared["figure"] > 0.5
