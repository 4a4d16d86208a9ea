"""Confidences on the command line: raw, calibrated, parted, and refused where they belong to something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.models.base_model import EMBEDDED, hash_base, resolve_base
from extune.models.checkpoint import hash_weights, save_tokenizer, save_weights
from extune.predicting.draft import draft_contract
from extune.recipe.load import dump_recipe, recipe_from_values
from extune.runs.contract import write_contract

Extune = Callable[..., Any]
LABELS = ["药物", "症状", "其他"]


def write_labelled(path: Path, count: int) -> None:
    """Different texts, labelled one after the other."""
    rows = [{"text": f"患者头痛{number}日，服当归{number % 7}剂。", "labels": [LABELS[number % 3]]} for number in range(count)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
    """A run whose weights are the untrained base's: it labels every text, somehow."""
    write_labelled(tmp_path / "dev.jsonl", 60)
    write_labelled(tmp_path / "test.jsonl", 6)
    files = {name: str(tmp_path / f"{file}.jsonl") for name, file in (("train", "test"), ("dev", "dev"), ("test", "test"))}
    recipe = recipe_from_values({"task": {"kind": "classification", "label_names": LABELS}, "data": files})
    base, folder = resolve_base(EMBEDDED), tmp_path / "run"
    save_weights(base_model, folder)
    save_tokenizer(tokenizer, folder)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    contract = draft_contract(recipe, base, tokenizer, dtype="float32", base_hash=hash_base(base))
    write_contract(folder, contract.model_copy(update={"weights": "model", "weights_hash": hash_weights(folder, "model")}))
    return folder


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_raw_confidences_to_a_review(extune: Extune, run: Path, tmp_path: Path) -> None:
    whole, out, review = (tmp_path / f"{name}.jsonl" for name in ("whole", "out", "review"))
    source = ("--file", tmp_path / "dev.jsonl", "--device", "cpu")
    early = extune("predict", run, *source, "--out", out, "--review", review)
    assert early.code == 2
    assert "the run is not calibrated" in early.err
    assert not out.exists()

    done = extune("calibrate", run, "--max-risk", "0.5", "--device", "cpu")
    assert done.code == 0, done.err
    assert done.out.count("a perfectly calibrated model") == 2
    written = json.loads((run / "calibration.json").read_text(encoding="utf-8"))
    assert f"ECE {written['after']['error']:.4f}" in done.out
    assert (written["fitted"], written["held"]) == (30, 30)
    assert ElementTree.parse(run / "calibration.svg").getroot().tag.endswith("svg")

    predicted = extune("predict", run, *source, "--out", whole)
    assert "confidences are raw" not in predicted.err
    found = {row["id"]: list(zip(row["labels"], row["confidences"], strict=True)) for row in read_rows(whole)}
    least = median(sure for ((_, sure),) in found.values())
    parted = extune("predict", run, *source, "--out", out, "--review", review, "--min-confidence", least)
    assert parted.code == 0, parted.err
    sure, unsure = ({row["id"]: row for row in read_rows(path)} for path in (out, review))
    assert list(sure) == list(found)
    kept = [id_ for id_ in found if sure[id_]["labels"]]
    assert [id_ for id_ in found if id_ not in kept] == list(unsure)
    for id_, ((label, confidence),) in found.items():
        held = sure[id_] if id_ in kept else unsure[id_]
        assert (held["labels"], held["confidences"]) == ([label], [confidence])
        assert (confidence >= least) == (id_ in kept)
    assert f"kept {len(kept)} of 60 items" in parted.out
    assert f"{60 - len(kept)} to review in {60 - len(kept)} rows" in parted.out

    report = extune("evaluate", run, "--device", "cpu")
    assert report.code == 0
    scores = json.loads((run / "scores" / "test" / "transformers" / "report.json").read_text(encoding="utf-8"))
    assert len(scores["reliability"]["band"]) == 3

    contract = run / "contract.json"
    contract.write_text(contract.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    stale = extune("predict", run, "--text", "服当归", "--device", "cpu")
    assert stale.code == 2
    assert "belongs to contract" in stale.err
    (run / "calibration.json").unlink()
    raw = extune("predict", run, "--text", "服当归", "--device", "cpu")
    assert raw.code == 0
    assert "confidences are raw" in raw.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["calibrate", "RUN", "--max-risk", "2"], "max-risk is 2"),
        (["predict", "RUN", "--text", "服当归", "--min-confidence", "0.5"], "part a file in two"),
        (["predict", "RUN", "--file", "DEV", "--out", "OUT", "--review", "R.jsonl", "--min-confidence", "much"], "is 'much'"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], said: str, extune: Extune, run: Path, tmp_path: Path) -> None:
    places = {"RUN": run, "DEV": tmp_path / "dev.jsonl", "OUT": tmp_path / "o.jsonl", "R.jsonl": tmp_path / "r.jsonl"}
    done = extune(*(places.get(word, word) for word in words))
    assert done.code == 2
    assert said in done.err


def test_a_dev_split_that_is_too_small_is_refused(extune: Extune, run: Path, tmp_path: Path) -> None:
    write_labelled(tmp_path / "dev.jsonl", 6)
    done = extune("calibrate", run, "--device", "cpu")
    assert done.code == 2
    assert "at least 20 in each" in done.err
    assert not (run / "calibration.json").exists()
