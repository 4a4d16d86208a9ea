"""Every method trains, keeps its best weights, comes back and goes on; merged weights answer as the adapter does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.errors import ModelError, RecipeError, RunError
from extune.models import checkpoint
from extune.models import merge as merging
from extune.models.adapters import load_adapter
from extune.models.base_model import EMBEDDED, load_base, resolve_base
from extune.models.checkpoint import load_run_tokenizer, load_weights
from extune.models.continuing import start_model
from extune.models.merge import compare_logits, last_logits
from extune.predicting.open import build_predictor, load_predictor
from extune.recipe.load import recipe_from_values
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract
from extune.runs.run_dir import RunDir
from extune.stages import merge as merge_stage
from extune.stages.merge import merge
from extune.stages.train import train

CASES: dict[str, dict[str, object]] = {
    "lora": {"method": "lora", "r": 4, "use_rslora": True, "loraplus_lr_ratio": 8},
    "dora": {"method": "lora", "r": 4, "use_dora": True},
    "nf4": {"method": "qlora", "r": 4},
    "fp4": {"method": "qlora", "r": 4, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False, "use_dora": True},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix_tuning", "num_virtual_tokens": 4},
    "prompt": {"method": "prompt_tuning", "num_virtual_tokens": 4},
    "p-mlp": {"method": "p_tuning", "num_virtual_tokens": 4, "encoder_hidden_size": 16},
    "p-lstm": {"method": "p_tuning", "num_virtual_tokens": 4, "encoder_reparameterization_type": "LSTM"},
    "full": {"method": "full"},
    "freeze": {"method": "freeze", "num_trainable_layers": 1},
}
VARIANTS = {"dora", "fp4", "p-lstm"}


def cases(*names: str, slow: set[str] = VARIANTS) -> list[Any]:
    """Parameters of which those named in `slow` are run by `make test-all` only."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


def example(number: int) -> Example:
    drug = ("黄芪", "当归", "桂枝")[number % 3]
    text = f"患者第{number}日服{drug}。"
    place = text.index(drug)
    return Example(str(number), text, Extraction((Span("药", drug, place, place + 2),)))


TRAIN, DEV = [example(number) for number in range(6)], [example(9)]
TEXTS = [Example("a", "服桂枝汤三日。"), Example("b", "当归"), Example("c", "黄芪30克，补气。")]


def recipe_of(case: str, **changes: dict[str, object]) -> Recipe:
    if CASES[case]["method"] == "qlora":
        pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    values = {
        "task": {"kind": "extraction", "types": {"药": "单味药材"}},
        "prompt": {"max_answer_tokens": 6, "constrain": False},
        "adapter": CASES[case],
        "training": {"max_steps": 2, "per_device_train_batch_size": 3, "learning_rate": 1e-2, "warmup_ratio": 0},
        "selection": {"eval_steps": 1, "metric": "loss"},
    }
    return recipe_from_values({name: {**values.get(name, {}), **changes.get(name, {})} for name in {*values, *changes}})


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A finished run of two steps, trained when first asked for; no test may change it."""
    runs: dict[str, Path] = {}

    def get(case: str) -> Path:
        recipe = recipe_of(case)
        if case not in runs:
            runs[case] = train(recipe, tmp_path_factory.mktemp("runs") / case, train=TRAIN, dev=DEV).path
        return runs[case]

    return get


IDS = [1, 300, 400, 500, 2]


def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    """Of the last token: methods that add virtual tokens have more of the others."""
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0, -1].float()


def whole_base(contract: Contract) -> PreTrainedModel:
    return load_base(resolve_base(EMBEDDED), contract.dtype, "cpu", contract.quantization)


@pytest.mark.parametrize("case", cases(*CASES))
def test_a_run_holds_the_best_checkpoint_and_can_be_trained_further(case: str, run_of: Callable[[str], Path]) -> None:
    run = RunDir(run_of(case))
    contract = run.contract()
    model = load_weights(run.path, contract, "cpu")
    found = logits(model)
    best = json.loads(run.manifest_file.read_text(encoding="utf-8"))["training"]["best_step"]
    folder = run.checkpoints / f"checkpoint-{best}"
    # the network of p_tuning runs in other kernels while gradients are needed
    kept = load_base(folder, "float32", "cpu") if contract.weights == "model" else load_adapter(whole_base(contract), folder)
    torch.testing.assert_close(found, logits(kept.eval()), atol=1e-5, rtol=0)
    assert not torch.allclose(found, logits(whole_base(contract)), atol=1e-3)

    further = start_model(run.recipe().adapter, resolve_base(EMBEDDED), contract, "cpu", run)
    assert any(parameter.requires_grad for parameter in further.parameters())
    torch.testing.assert_close(found, logits(further.eval()), atol=1e-5, rtol=0)
    predictor = load_predictor(run.path, device="cpu")
    again = build_predictor(further, load_run_tokenizer(run.path, contract), contract)
    assert list(predictor.predict_many(TEXTS)) == list(again.predict_many(TEXTS))


@pytest.mark.parametrize("case", cases("lora", "dora", "nf4", "fp4", "ia3", slow={*VARIANTS, "ia3"}))
def test_merged_weights_answer_as_the_adapter_does(case: str, run_of: Callable[[str], Path], tmp_path: Path) -> None:
    run = run_of(case)
    merged = merge(run, tmp_path / "merged", device="cpu")
    assert merged.agreement.difference <= 1e-4 < merged.agreement.effect
    contract = merged.run.contract()
    assert (contract.weights, contract.quantization) == ("model", None)
    expected = list(load_predictor(run, device="cpu").predict_many(TEXTS))
    assert list(load_predictor(merged.run.path, device="cpu").predict_many(TEXTS)) == expected

    plain = AutoModelForCausalLM.from_pretrained(merged.run.path / "model", dtype=torch.float32).eval()
    assert not hasattr(plain.config, "quantization_config")
    assert torch.equal(logits(plain), logits(load_weights(merged.run.path, contract, "cpu")))
    tokenizer = AutoTokenizer.from_pretrained(merged.run.path / "model")
    assert tokenizer("黄芪").input_ids == load_run_tokenizer(run, contract)("黄芪").input_ids


@pytest.mark.parametrize("case", ["prefix", "prompt", "p-mlp", "full"])
def test_what_cannot_be_merged_is_refused(case: str, run_of: Callable[[str], Path]) -> None:
    with pytest.raises(RunError, match="nothing to merge" if case == "full" else "virtual tokens"):
        merge(run_of(case), device="cpu")
    assert not (run_of(case) / "variants").exists()


def doubled(run: Path, folder: Path) -> Path:
    """A copy of the run whose adapter is scaled by twice as much."""
    copied = Path(shutil.copytree(run, folder))
    config = copied / "adapter" / "adapter_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(settings | {"lora_alpha": 2 * settings["lora_alpha"]}), encoding="utf-8")
    return copied


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_twice_the_scale_is_not_taken_for_rounding(dtype: str, run_of: Callable[[str], Path], tmp_path: Path) -> None:
    run = run_of("lora")
    contract = RunDir(run).contract()
    model = load_weights(run, contract, "cpu")
    unmerged, bare = last_logits(model, [IDS]), last_logits(model, [IDS], bare=True)
    right = merging.merge_weights(run, contract, dtype, "cpu")
    wrong = merging.merge_weights(doubled(run, tmp_path / "wrong"), contract, dtype, "cpu")
    assert compare_logits(last_logits(right, [IDS]), unmerged, bare, [dtype]).holds
    assert not compare_logits(last_logits(wrong, [IDS]), unmerged, bare, [dtype]).holds


def test_a_wrong_merge_is_not_written(run_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = doubled(run_of("lora"), tmp_path / "wrong")
    monkeypatch.setattr(merge_stage, "merge_weights", lambda _run, *rest: merging.merge_weights(wrong, *rest))
    with pytest.raises(ModelError, match="logits differ"):
        merge(run_of("lora"), tmp_path / "merged", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong"]


@pytest.mark.slow
def test_large_weights_are_written_in_several_files(
    run_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_SHARD", "10MB")
    merged = merge(run_of("lora"), tmp_path / "merged", dtype="bfloat16", device="cpu")
    assert len(list((merged.run.path / "model").glob("*.safetensors"))) > 1
    assert merged.run.contract().dtype == "bfloat16"
    with pytest.raises(RunError, match="exists already"):
        merge(run_of("lora"), merged.run.path, device="cpu")


@pytest.mark.parametrize("dtype", ["int8", "float64"])
def test_dtypes_that_are_none_for_weights(dtype: str, run_of: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=dtype):
        merge(run_of("lora"), tmp_path / "merged", dtype=dtype, device="cpu")


@pytest.mark.parametrize("case", cases("lora", "p-mlp", "freeze", slow={"p-mlp", "freeze"}))
def test_a_training_goes_on_from_an_earlier_run(case: str, run_of: Callable[[str], Path], tmp_path: Path) -> None:
    earlier = run_of(case)
    settings = {"training": {"learning_rate": 1e-9, "max_steps": 1}, "base": {"adapter": str(earlier)}}
    recipe = recipe_of(case, **settings)
    run = train(recipe, tmp_path / "run", train=TRAIN)
    contract, before = run.contract(), RunDir(earlier).contract()
    assert contract.continued_from == before.weights_hash != contract.weights_hash
    found, then = logits(load_weights(run.path, contract, "cpu")), logits(load_weights(earlier, before, "cpu"))
    assert (found - then).norm() <= 1e-4 * then.norm()


@pytest.mark.parametrize(
    ("case", "earlier", "words"),
    [
        ("full", "lora", "extune merge"),
        ("lora", "full", "its weights become the base"),
        ("dora", "lora", "use_dora: False there, True here"),
        ("prompt", "prefix", "PREFIX_TUNING there"),
    ],
)
def test_another_kind_of_training_cannot_go_on(
    case: str, earlier: str, words: str, run_of: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe = recipe_of(case, base={"adapter": str(run_of(earlier))})
    with pytest.raises(RecipeError) as caught:
        train(recipe, tmp_path / "run", train=TRAIN)
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_other_target_modules_cannot_go_on(run_of: Callable[[str], Path], tmp_path: Path) -> None:
    settings = {"adapter": {"target_modules": ["q_proj"]}, "base": {"adapter": str(run_of("lora"))}}
    with pytest.raises(RecipeError, match="trained weights"):
        train(recipe_of("lora", **settings), tmp_path / "run", train=TRAIN)


def test_a_full_run_is_a_base_for_others(run_of: Callable[[str], Path], tmp_path: Path) -> None:
    model = str(run_of("full") / "model")
    run = train(recipe_of("lora", base={"model": model}, training={"max_steps": 1}), tmp_path / "run", train=TRAIN)
    assert run.contract().base == model


@pytest.mark.slow
def test_an_interrupted_p_tuning_goes_on_with_its_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of("p-mlp", training={"max_steps": 3})
    whole = train(recipe, tmp_path / "whole", train=TRAIN)

    class TornError(Exception):
        """Ends a training after its second checkpoint."""

    def tear(*_: object) -> None:
        raise TornError

    with monkeypatch.context() as patch:
        patch.setattr("extune.stages.train.save_weights", tear)
        with pytest.raises(TornError):
            train(recipe, tmp_path / "torn", train=TRAIN)
    shutil.rmtree(tmp_path / "torn" / "checkpoints" / "checkpoint-3")
    torn = train(recipe, tmp_path / "torn", train=TRAIN, resume=True)
    weights = [load_weights(run.path, run.contract(), "cpu") for run in (whole, torn)]
    assert torch.equal(logits(weights[0]), logits(weights[1]))
