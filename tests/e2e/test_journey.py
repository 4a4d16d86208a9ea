"""The whole job through the command line, as a user does it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import extune as api
from extune.runs.run_dir import RunDir

Extune = Callable[..., object]


def test_train_leaves_a_complete_run(trained_run: Path) -> None:
    run = RunDir(trained_run)
    assert run.is_finished
    assert run.contract().weights == "adapter"
    assert run.recipe().name == "tiny"
    manifest = json.loads(run.manifest_file.read_text(encoding="utf-8"))
    assert manifest["data"]["train"]["examples"] == 20
    assert len(manifest["data"]["train"]["sha256"]) == 64
    assert manifest["training"]["steps"] == 3
    assert manifest["training"]["train_rows_per_second"] > 0
    assert manifest["training"]["dev_rows_per_second"] > 0
    steps = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in steps if "loss" in line] == [1, 2, 3]
    assert run.curves.read_text(encoding="utf-8").startswith("<svg")


def test_check_and_show(recipe_file: Path, extune: Extune) -> None:
    done = extune("check", recipe_file)
    assert done.code == 0
    assert "nothing is wrong" in done.out
    by_row, by_line = extune("show", recipe_file, "--row", 2), extune("show", recipe_file, "--line", 2)
    assert by_row == by_line
    assert "患者乏力1日，服当归。" in by_row.out
    assert "中药：当归\n症状：乏力" in by_row.out


def test_a_finished_run_is_neither_overwritten_nor_trained_again(trained_run: Path, recipe_file: Path, extune: Extune) -> None:
    before = (trained_run / "manifest.json").read_bytes()
    refused = extune("train", recipe_file, "--out", trained_run)
    assert refused.code == 2
    assert "--resume" in refused.err
    assert "--out" in refused.err
    assert extune("train", recipe_file, "--out", trained_run, "--resume").code == 0
    assert (trained_run / "manifest.json").read_bytes() == before


def test_resume_with_another_recipe_names_the_keys(trained_run: Path, recipe_file: Path, extune: Extune) -> None:
    done = extune("train", recipe_file, "training.learning_rate=1e-5", "--out", trained_run, "--resume")
    assert done.code == 2
    assert "training.learning_rate: 0.0002 -> 1e-05" in done.err


def test_an_interrupted_run_is_not_finished_and_goes_on(
    trained_run: Path, recipe_file: Path, tmp_path: Path, extune: Extune
) -> None:
    run = RunDir(tmp_path / "cut")
    shutil.copytree(trained_run, run.path)
    run.contract_file.unlink()
    shutil.rmtree(run.path / "adapter")
    shutil.rmtree(run.checkpoints / "checkpoint-3")
    refused = extune("predict", run.path, "--text", "头痛")
    assert refused.code == 2
    assert "did not finish" in refused.err
    assert "--resume" in refused.err
    assert extune("train", recipe_file, "--out", run.path, "--resume").code == 0
    training = json.loads(run.manifest_file.read_text(encoding="utf-8"))["training"]
    assert (training["resumed_from"], training["steps"]) == (2, 3)
    assert run.is_finished


def test_evaluate_writes_reports_that_report_writes_again(trained_run: Path, tmp_path: Path, extune: Extune) -> None:
    run = tmp_path / "scored"
    shutil.copytree(trained_run, run)
    done = extune("evaluate", run)
    assert done.code == 0
    assert "F1" in done.out
    folder = RunDir(run).scores("test", "transformers")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["score"]["documents"] == 4
    assert len(report["meta"]["test_set_hash"]) == 64
    before = {path.name: path.read_bytes() for path in folder.glob("report.*")}
    assert sorted(before) == ["report.html", "report.json", "report.md"]
    for name in before:
        if name != "report.json":
            (folder / name).unlink()
    assert extune("report", run).code == 0
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["score"] == report["score"]
    assert (folder / "report.md").read_bytes() == before["report.md"]
    files = extune("evaluate", "--pred", folder / "predictions.jsonl", "--gold", folder / "gold.jsonl", "--types", "中药,症状")
    assert files.code == 0
    assert files.out.splitlines()[-1] == done.out.splitlines()[-2]
    shutil.copytree(folder, RunDir(run).scores("test", "base"))  # as `evaluate --base` leaves it
    assert extune("report", run).code == 0
    baselines = json.loads((folder / "report.json").read_text(encoding="utf-8"))["baselines"]
    assert baselines == {"untrained base": report["score"], **report["baselines"]}
    converted = extune("convert", run, tmp_path / "tasks.json", "--to", "label-studio")
    assert converted.code == 0
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert [len(task["predictions"]) for task in tasks] == [1] * 4
    assert {task["predictions"][0]["model_version"] for task in tasks} == {"scored"}


def test_gold_as_predictions_scores_one(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    gold = recipe_file.parent / "test.jsonl"
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text(
        "".join(json.dumps({"id": f"test-{number}", **row}) + "\n" for number, row in enumerate(rows, 1)), encoding="utf-8"
    )
    done = extune("evaluate", "--pred", predictions, "--gold", gold)
    assert done.code == 0
    assert "F1 1.000 [1.000, 1.000]" in done.out


@pytest.mark.parametrize("ending", ["jsonl", "csv", "txt"])
def test_predict_goes_on_where_it_stopped(trained_run: Path, tmp_path: Path, extune: Extune, ending: str) -> None:
    texts = tmp_path / "in.txt"
    texts.write_text("患者头痛\n服黄芪\n", encoding="utf-8")
    out = tmp_path / f"out.{ending}"
    words = ("predict", trained_run, "--file", texts, "--out", out, "--max-new-tokens", 4)
    assert extune(*words).code == 0
    whole = out.read_bytes()
    again = extune(*words)
    assert "wrote 0 predictions" in again.out
    out.write_bytes(whole[: whole.rstrip(b"\r\n").rfind(b"\n") + 1])
    assert "wrote 1 predictions" in extune(*words).out
    assert out.read_bytes() == whole


def test_decoding_options_stand_in_each_prediction(trained_run: Path, tmp_path: Path, extune: Extune) -> None:
    texts = tmp_path / "in.jsonl"
    texts.write_text('{"id": "a", "text": "患者头痛"}\n', encoding="utf-8")
    options = ("--temperature", 0.7, "--top-p", 0.9, "--seed", 3, "--max-new-tokens", 4, "--repetition-penalty", 1.1)
    assert extune("predict", trained_run, "--file", texts, "--out", tmp_path / "out.jsonl", *options).code == 0
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert row["id"] == "a"
    assert row["decoding"] == {
        "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1, "max_new_tokens": 4, "seed": 3, "prior": "none",
    }  # fmt: skip


def test_a_copied_run_predicts_without_the_data(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extune: Extune
) -> None:
    words = ("--text", "患者头痛，服黄芪。", "--max-new-tokens", 8)
    here = extune("predict", trained_run, *words)
    shutil.copytree(trained_run, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("recipe.yaml", "checkpoints"))
    monkeypatch.chdir(tmp_path)
    there = extune("predict", "elsewhere", *words)
    assert here.code == there.code == 0
    assert here.out == there.out


def test_an_untrained_base_answers_in_the_same_way(trained_run: Path, recipe_file: Path, extune: Extune) -> None:
    words = ("--base", "embedded", "--text", "患者头痛", "--max-new-tokens", 4)
    of_recipe, of_run = extune("predict", recipe_file, *words), extune("predict", trained_run, *words)
    assert of_recipe.code == of_run.code == 0
    assert of_recipe.out == of_run.out


def test_several_seeds_give_a_mean_and_a_deviation(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    run = RunDir(tmp_path / "seeds")
    words = ("train", recipe_file, "training.seeds=[1, 2]", "training.max_steps=1", "prompt.max_answer_tokens=16")
    assert extune(*words, "--out", run.path).code == 0
    assert [part.recipe().training.seed for part in run.seed_runs()] == [1, 2]
    assert [part.is_finished for part in run.seed_runs()] == [True, True]
    weights = [(part.path / "adapter" / "adapter_model.safetensors").read_bytes() for part in run.seed_runs()]
    assert weights[0] != weights[1]
    done = extune("evaluate", run.path)
    assert done.code == 0
    assert "±" in done.out
    assert "±" in (run.scores("test", "transformers") / "report.md").read_text(encoding="utf-8")
    refused = extune("predict", run.path, "--text", "头痛")
    assert refused.code == 2
    assert "seed-1" in refused.err


def test_the_api_does_the_same_job_in_memory(recipe_file: Path, tmp_path: Path) -> None:
    recipe = api.load_recipe(recipe_file, "data.train=", "data.dev=", "training.max_steps=1", "prompt.max_answer_tokens=8")
    span = api.Span("中药", "黄芪", 1, 3)
    examples = [api.Example(id=str(number), text=f"服黄芪{number}克", gold=api.Extraction((span,))) for number in range(4)]
    run = api.train(recipe, tmp_path / "run", train=examples, dev=examples[:1])
    predictor = api.load_predictor(run.path)
    assert isinstance(predictor.predict("服黄芪"), api.Extraction)
    predictions = list(predictor.predict_many(examples))
    assert [prediction.example_id for prediction in predictions] == ["0", "1", "2", "3"]
    assert str(api.evaluate(run, split=str(recipe_file.parent / "test.jsonl"))).startswith("test F1")


def test_recipes_are_listed_printed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extune: Extune) -> None:
    monkeypatch.chdir(tmp_path)
    names = extune("recipe", "list").out.split()
    assert "clinic-notes" in names
    for name in names:
        assert "task:" in extune("recipe", "show", name).out
    assert extune("recipe", "new", "mine").code == 0
    assert api.load_recipe("mine.yaml").name == "mine"
    assert extune("recipe", "new", "mine").code == 2
