"""A small labelled data set and one short training that the end-to-end tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from extune.cli.main import main

DRUGS = ("黄芪", "当归", "桂枝", "白术", "甘草")
SIGNS = ("头痛", "乏力", "咳嗽", "发热")


@dataclass(frozen=True)
class Done:
    """What a command printed and returned."""

    code: int
    out: str
    err: str


@pytest.fixture
def extune(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs the command line in this process."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


def write_rows(path: Path, numbers: range) -> None:
    """Rows with different numbers, each with a drug and a sign."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in numbers:
            drug, sign = DRUGS[number % len(DRUGS)], SIGNS[number % len(SIGNS)]
            text = f"患者{sign}{number}日，服{drug}。"
            places = [(text.index(drug), "中药"), (text.index(sign), "症状")]
            entities = [{"start": start, "end": start + 2, "type": name} for start, name in places]
            file.write(json.dumps({"text": text, "entities": entities}, ensure_ascii=False) + "\n")


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose training takes three steps."""
    folder = tmp_path_factory.mktemp("data")
    for split, numbers in (("train", range(20)), ("dev", range(30, 33)), ("test", range(40, 44))):
        write_rows(folder / f"{split}.jsonl", numbers)
    path = folder / "tiny.yaml"
    path.write_text(
        f"""\
task: {{kind: extraction, types: {{中药: 药材, 症状: }}}}
data: {{train: {folder}/train.jsonl, dev: {folder}/dev.jsonl, test: {folder}/test.jsonl}}
prompt: {{max_answer_tokens: 24}}
training: {{max_steps: 3, per_device_train_batch_size: 2, logging_steps: 1}}
selection: {{eval_steps: 2, dev_limit: 1}}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def trained_run(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests that change it take a copy."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", str(recipe_file), "--out", str(run)]) == 0
    return run
