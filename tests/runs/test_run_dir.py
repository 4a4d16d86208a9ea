"""The run directory's paths and what is said about incomplete ones; the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.errors import RunError
from extune.files import write_json
from extune.runs.manifest import SplitProvenance, hash_data, list_skips, now, write_manifest
from extune.runs.run_dir import RunDir, read_json


def test_a_folder_without_contract_is_not_finished(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert not run.is_finished
    with pytest.raises(RunError, match=r"contract\.json is missing"):
        run.contract()
    run.recipe_file.write_text("task: {kind: extraction, types: [a]}\n", encoding="utf-8")
    with pytest.raises(RunError, match="did not finish") as caught:
        run.contract()
    assert "--resume" in caught.value.fix


def test_the_folder_of_several_seeds(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.seed_runs() == ()
    write_json(run.summary_file, {"name": "x", "seeds": [3, 1]})
    assert [part.path.name for part in run.seed_runs()] == ["seed-3", "seed-1"]
    with pytest.raises(RunError, match="seed-3, seed-1"):
        run.contract()


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "\ufeff{}"])
def test_json_that_extune_did_not_write(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match="cannot be read"):
        read_json(path)
    with pytest.raises(RunError, match="not found"):
        read_json(tmp_path / "y.json")


def test_a_summary_without_seeds_is_corrupted(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.summary_file, {"name": "x"})
    with pytest.raises(RunError, match="seeds"):
        run.seed_runs()


def test_the_manifest_says_where_a_run_comes_from(tmp_path: Path) -> None:
    data = tmp_path / "train.txt"
    data.write_bytes(b"abc")
    skipped = list_skips([(line, "wrong") for line in range(1, 31)])
    split = SplitProvenance(
        file="train.txt", sha256=hash_data(data), examples=2, gold_spans=3, skipped=30, skipped_rows=skipped
    )
    path = tmp_path / "manifest.json"
    write_manifest(path, seed=7, device="cpu", started=now(), splits={"train": split}, training={"steps": 3})
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest["seed"] == 7
    assert manifest["started"] <= manifest["finished"]
    assert manifest["data"]["train"]["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(manifest["data"]["train"]["skipped_rows"]) == 20
    assert manifest["data"]["train"]["skipped_rows"][0] == "1: wrong"
    assert manifest["versions"]["torch"]
    assert manifest["training"] == {"steps": 3}
    assert hash_data(None) is None
