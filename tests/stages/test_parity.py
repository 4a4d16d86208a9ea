"""Two ways to run one model: equal where they should be, and a wrong merge does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from extune.cli.main import main
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.engines.vllm_engine import is_installed
from extune.errors import ModelError, RecipeError, RunError
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, hash_base, load_base, resolve_base
from extune.models.checkpoint import hash_weights, save_tokenizer, save_weights
from extune.predicting.open import build_predictor
from extune.recipe.adapters import LoraAdapter
from extune.recipe.load import dump_recipe, recipe_from_values
from extune.runs.contract import Contract, write_contract
from extune.runs.run_dir import RunDir, read_json
from extune.stages.merge import merge
from extune.stages.parity import ParityReport, parity

TEXTS = [
    "黄芪30克，补气固表。",
    "患者咳嗽三天，予桂枝汤加减，每日一剂，分两次服。",
    "当归与白术同用，治头痛乏力。",
    "服甘草后发热渐退，咳嗽减轻。",
    "胃痛、腹泻二日，服黄连素片。",
    "舌淡苔白，脉细弱。",
]


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> Path:
    """A run whose test set has its own predictions as gold, and its true merge."""
    folder = tmp_path_factory.mktemp("parity") / "run"
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
    rows = folder.parent / "test.jsonl"
    write_gold(rows, build_predictor(model, tokenizer, contract))
    values: dict[str, Any] = {
        "task": contract.task.model_dump(),
        "data": {"test": str(rows), "dev": str(rows)},
        "prompt": {"max_answer_tokens": 24},
    }
    (folder / "recipe.yaml").write_text(dump_recipe(recipe_from_values(values)), encoding="utf-8")
    write_contract(folder, contract)
    merge(folder, device="cpu")
    return folder


def write_gold(path: Path, predictor: Any) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for prediction, text in zip(
            predictor.predict_many([Example(str(n), text) for n, text in enumerate(TEXTS)]), TEXTS, strict=True
        ):
            assert isinstance(prediction.annotation, Extraction)
            entities = [{"start": s.start, "end": s.end, "type": s.type} for s in prediction.annotation.spans]
            file.write(json.dumps({"text": text, "entities": entities}, ensure_ascii=False) + "\n")


@pytest.fixture
def wrong(run: Path) -> str:
    """The name of a variant that was merged with the scale off by two: the base plus twice what the adapter adds."""
    merged, name = run / "variants" / "merged", "doubled"
    base = load_file(next(resolve_base(EMBEDDED).glob("*.safetensors")))
    folder = run / "variants" / name
    if not folder.exists():
        (folder / "model").mkdir(parents=True)
        for part in ("model", "tokenizer"):
            (folder / part).mkdir(exist_ok=True)
            for path in (merged / part).iterdir():
                (folder / part / path.name).write_bytes(path.read_bytes())
        weights = load_file(merged / "model" / "model.safetensors")
        doubled = {key: 2 * value - base[key].to(value.dtype) for key, value in weights.items()}
        save_file(doubled, folder / "model" / "model.safetensors", metadata={"format": "pt"})
        contract = RunDir(merged).contract().model_copy(update={"weights_hash": hash_weights(folder, "model")})
        write_contract(folder, contract)
    return name


def test_the_gold_is_worth_something(run: Path) -> None:
    rows = [json.loads(line) for line in (run.parent / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(len(row["entities"]) for row in rows) >= 3


def test_a_true_merge_answers_alike(run: Path) -> None:
    report = parity(run, variants=("adapter", "merged"), device="cpu")
    (merged,) = report.others
    assert (report.first.name, merged.side.name) == ("adapter on transformers", "merged on transformers")
    assert report.figure == merged.figure == 1.0
    assert (merged.equal, merged.flips, merged.drop) == (1.0, (), 0.0)
    report.require_parity()
    written = read_json(run / "parity" / "test.json")
    assert written["others"][0]["within"] is True
    assert written["examples"] == len(TEXTS)


def test_a_merge_with_twice_the_scale_is_caught(run: Path, wrong: str) -> None:
    report = parity(run, variants=("adapter", "merged", wrong), device="cpu", split="dev")
    true, doubled = report.others
    assert true.equal == 1.0
    assert doubled.equal < 1.0
    assert doubled.drop > report.max_drop
    assert report.failing() == [doubled]
    with pytest.raises(ModelError, match="doubled on transformers loses") as caught:
        report.require_parity()
    assert caught.value.exit_code == 1
    for flip in doubled.flips:
        assert flip.first != flip.second
        assert flip.margin is not None
        assert flip.margin > 0  # the first takes its best token


def test_the_command_line_fails_with_one(run: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["parity", str(run), "--variants", f"merged,{wrong}", "--device", "cpu"]
    assert main(words) == 1
    printed = capsys.readouterr()
    assert f"{wrong} on transformers: test-" in printed.out
    assert "margin" in printed.out
    assert "loses" in printed.err
    assert main([*words, "--max-drop", "100"]) == 0
    assert "next: extune predict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("engines", "variants", "error", "said"),
    [
        (("openai",), (), RecipeError, "renders the messages"),
        (("llama",), (), RecipeError, "unknown engine"),
        (("transformers",), ("adapter",), RecipeError, "nothing to compare"),
        (("transformers",), ("adapter", "awq"), RunError, "no variant 'awq'"),
        (("transformers",), ("model",), RunError, "no variant 'model'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_a_model_is_loaded(
    engines: tuple[str, ...], variants: tuple[str, ...], error: type[Exception], said: str, run: Path
) -> None:
    with pytest.raises(error, match=said):
        parity(run, engines, variants, device="cpu")


def test_a_variant_of_another_training_is_refused(run: Path, wrong: str) -> None:
    place = run / "variants" / wrong
    before = RunDir(place).contract()
    write_contract(place, before.model_copy(update={"max_answer_tokens": 99}))
    try:
        with pytest.raises(RunError, match="max_answer_tokens"):
            parity(run, variants=("adapter", wrong), device="cpu")
    finally:
        write_contract(place, before)


@pytest.mark.skipif(not is_installed(), reason="vllm is not in this environment: make test-vllm")
def test_vllm_answers_alike_too(run: Path) -> None:
    report: ParityReport = parity(run, ("transformers", "vllm"), ("adapter",))
    (served,) = report.others
    assert served.side.name == "adapter on vllm"
    assert (served.equal, served.drop) == (1.0, 0.0)
