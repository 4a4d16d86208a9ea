"""Records, classes and answers through the command line: check, show, train, evaluate, report, predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extune.runs.run_dir import RunDir

TASKS = {
    "record": "{kind: record, fields: {药名: {kind: verbatim}, 病程: {kind: enum, of: [急性, 慢性]}, 结论: {kind: text}}}",
    "classification": "{kind: classification}",
    "generation": "{kind: generation, instruction: 回答问题。}",
}
TEXTS = ("服黄芪三日，咳嗽好转。", "用当归，头痛如前。", "服桂枝，发热已退。", "停用白术，乏力仍在。")
ANNOTATIONS: dict[str, list[dict[str, Any]]] = {
    "record": [
        {"fields": {"药名": [text[1:3]], "病程": "急性" if number % 2 else "慢性", "结论": text[-3:-1]}}
        for number, text in enumerate(TEXTS)
    ],
    "classification": [
        {"labels": "好转" if number % 2 else "无效", "candidates": ["好转", "无效", "恶化"][:: 1 if number % 3 else -1]}
        for number, _ in enumerate(TEXTS)
    ],
    "generation": [{"answer": text[-3:]} for text in TEXTS],
}
HEADLINES = {"record": "F1 ", "classification": "accuracy ", "generation": "ROUGE-L "}


@pytest.fixture(params=list(TASKS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe_file(kind: str, tmp_path: Path) -> Path:
    rows = [{"text": text, **gold} for text, gold in zip(TEXTS, ANNOTATIONS[kind], strict=True)]
    for split, chosen in (("train", rows * 2), ("dev", rows[:2]), ("test", rows)):
        lines = [json.dumps({"id": f"{split}-{number}", **row}, ensure_ascii=False) for number, row in enumerate(chosen)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"task: {TASKS[kind]}\n"
        f"data: {{train: {tmp_path}/train.jsonl, dev: {tmp_path}/dev.jsonl, test: {tmp_path}/test.jsonl}}\n"
        "prompt: {max_answer_tokens: 24}\n"
        "training: {max_steps: 2, per_device_train_batch_size: 2, logging_steps: 1}\n"
        "selection: {eval_steps: 2}\n",
        encoding="utf-8",
    )
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_whole_journey(kind: str, recipe_file: Path, tmp_path: Path, extune: Callable[..., Any]) -> None:
    checked = extune("check", recipe_file)
    assert checked.code == 0, checked.out + checked.err
    assert TEXTS[0] in extune("show", recipe_file).out

    run = RunDir(tmp_path / "run")
    assert extune("train", recipe_file, "--out", run.path).code == 0
    figure = {"record": "dev_f1", "classification": "dev_accuracy", "generation": "dev_loss"}[kind]
    assert any(figure in line for line in read_rows(run.log))

    done = extune("evaluate", run.path)
    assert done.code == 0, done.err
    assert HEADLINES[kind] in done.out
    folder = run.scores("test", "transformers")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["score"]["documents"] == len(TEXTS)
    baselines = {"classification": ["majority class"], "record": ["look-up"], "generation": []}
    assert list(report["baselines"]) == baselines[kind]
    predictions = read_rows(folder / "predictions.jsonl")
    assert [row["id"] for row in predictions] == [f"test-{number}" for number in range(len(TEXTS))]
    if kind == "classification":
        for row, gold in zip(predictions, ANNOTATIONS[kind], strict=True):
            assert list(row["probabilities"]) == gold["candidates"]
            assert row["labels"] == [max(row["probabilities"], key=row["probabilities"].get)]

    assert extune("report", run.path).code == 0
    again = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert again["score"] == report["score"]
    assert HEADLINES[kind].strip() in (folder / "report.md").read_text(encoding="utf-8")

    perfect = extune("evaluate", "--pred", folder / "gold.jsonl", "--gold", folder / "gold.jsonl")
    assert perfect.code == 0, perfect.err
    assert f"{HEADLINES[kind]}1.0000" in perfect.out

    for ending in ("jsonl", "csv", "txt"):
        out = tmp_path / f"out.{ending}"
        assert extune("predict", run.path, "--file", tmp_path / "test.jsonl", "--out", out).code == 0
        whole = out.read_bytes()
        assert "wrote 0 predictions" in extune("predict", run.path, "--file", tmp_path / "test.jsonl", "--out", out).out
        assert out.read_bytes() == whole
    key = {"record": "fields", "classification": "labels", "generation": "answer"}[kind]
    assert [row[key] for row in read_rows(tmp_path / "out.jsonl")] == [row[key] for row in predictions]


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_a_text_without_candidates_says_what_to_write(recipe_file: Path, tmp_path: Path, extune: Callable[..., Any]) -> None:
    texts = tmp_path / "in.jsonl"
    texts.write_text('{"text": "服黄芪三日"}\n', encoding="utf-8")
    words = ("predict", recipe_file, "--base", "embedded", "--file", texts, "--out", tmp_path / "out.jsonl")
    refused = extune(*words)
    assert refused.code == 2
    assert "in.jsonl:1" in refused.err
    assert '"candidates"' in refused.err
