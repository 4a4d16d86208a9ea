"""`extune baseline`: look-ups, a real server, the untrained base and a trained run in one table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.chat_server import ChatServer, answer_with, chat, serving
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.runs.contract import Contract

Extune = Callable[..., Any]


@pytest.fixture
def embedded_server(
    base_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> Iterator[ChatServer]:
    """Serves the embedded base."""
    with serving(answer_with(base_model, tokenizer, make_contract())) as server:
        yield server


def rows_of(folder: Path) -> dict[str, Any]:
    table = json.loads((folder / "baselines.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in table["rows"]}


def test_a_server_with_the_base_scores_like_the_base(
    recipe_file: Path, tmp_path: Path, extune: Extune, embedded_server: ChatServer
) -> None:
    words = ["baseline", recipe_file, f"engine.base_url={embedded_server.url}", "engine.model=tiny/base", "--out", tmp_path]
    words += ["prompt.constrain=false", "engine.shots=[0, 2]", "base.dtype=float32"]
    done = extune(*words)
    assert done.code == 0, done.err
    rows = rows_of(tmp_path)
    assert list(rows) == [
        "nothing",
        "majority type",
        "gazetteer",
        "tiny/base, 0-shot",
        "tiny/base, 2-shot",
        "untrained embedded",
    ]
    assert rows["tiny/base, 0-shot"]["score"] == rows["untrained embedded"]["score"]
    assert rows["gazetteer"]["score"]["micro"]["f1"] == 1.0, "the test set has no new string"
    usage = rows["tiny/base, 2-shot"]["usage"]
    assert (usage["answered"], usage["cached"], usage["uncounted"]) == (4, 0, 0)
    assert usage["prompt_tokens"] > rows["tiny/base, 0-shot"]["usage"]["prompt_tokens"]

    plain, shown = embedded_server.requests[0], embedded_server.requests[-1]
    assert [len(request["messages"]) for request in embedded_server.requests] == [1] * 4 + [5] * 4
    (question,) = plain["messages"]
    first, answer = shown["messages"][:2]
    head, _, _ = question["content"].rpartition("\n")
    assert first["content"].startswith(head), "a shot is asked as a question is"
    assert answer["role"] == "assistant"
    assert "：" in answer["content"]

    for name in ("baselines.md", "tiny-base-0-shot/report.json", "untrained/predictions.jsonl"):
        assert (tmp_path / name).is_file()
    assert "tiny/base, 2-shot: 4 requests" in done.out

    asked = len(embedded_server.requests)
    assert extune(*words, "--no-untrained").code == 0
    assert len(embedded_server.requests) == asked, "every answer was kept"
    assert rows_of(tmp_path)["tiny/base, 2-shot"]["score"] == rows["tiny/base, 2-shot"]["score"]


def test_nonsense_counts_as_wrong(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    with serving(lambda _: chat("As a language model I cannot")) as server:
        words = (recipe_file, f"engine.base_url={server.url}", "engine.model=m", "--no-untrained", "--out", tmp_path)
        assert extune("baseline", *words).code == 0
    score = rows_of(tmp_path)["m, 0-shot"]["score"]
    assert score["problem_documents"] == 4
    assert score["micro"]["fn"] == 8
    assert score["micro"]["fp"] >= 4, "an answer that cannot be read is a wrong one"


def test_a_server_that_refuses_ends_with_its_words(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    with serving(lambda _: chat("")) as server:
        words = (recipe_file, f"engine.base_url={server.url}/v2", "engine.model=m", "--no-untrained", "--out", tmp_path)
        done = extune("baseline", *words)
    assert done.code == 1
    assert "status 404: no such path" in done.err


def test_trained_runs_stand_beside_the_baselines(recipe_file: Path, trained_run: Path, tmp_path: Path, extune: Extune) -> None:
    run = tmp_path / "tiny"
    shutil.copytree(trained_run, run)
    words = ("baseline", recipe_file, "--no-untrained", "--run", run, "--out", tmp_path / "table")
    assert extune(*words).code == 2, "it was not evaluated"
    assert extune("evaluate", run).code == 0
    assert extune(*words).code == 0
    report = json.loads((run / "scores/test/transformers/report.json").read_text(encoding="utf-8"))
    assert rows_of(tmp_path / "table")["trained: tiny"]["score"] == report["score"]
    other = recipe_file.parent / "dev.jsonl"
    done = extune(*words, f"data.test={other}")
    assert done.code == 2
    assert "another test set" in done.err


def test_json_mode_needs_json(recipe_file: Path, extune: Extune) -> None:
    done = extune("baseline", recipe_file, "engine.base_url=http://127.0.0.1:9/v1", "engine.model=m", "engine.json_mode=true")
    assert done.code == 2
    assert "prompt.format: json" in done.err
    done = extune("baseline", recipe_file, "engine.model=m")
    assert done.code == 2
    assert "engine.base_url is missing" in done.err


def test_records_are_looked_up_and_answers_are_not(tmp_path: Path, extune: Extune) -> None:
    """Other kinds of tasks go the same way, each with its own figures."""
    for name, sample, suffix, lookups in (
        ("medical-dialogue", "dialogues", "jsonl", ["look-up"]),
        ("medical-qa", "qa", "json", []),
    ):
        files = [f"data.{split}=sample:{sample}/{split}.{suffix}" for split in ("train", "test")]
        with serving(lambda _: chat("无")) as server:
            words = ("engine.model=m", f"engine.base_url={server.url}", "engine.shots=1", "base.model=embedded")
            done = extune("baseline", name, *files, *words, "--no-untrained", "--out", tmp_path / name)
        assert done.code == 0, done.err
        assert list(rows_of(tmp_path / name)) == [*lookups, "m, 1-shot"]
        assert all(len(request["messages"]) == 3 for request in server.requests)


def test_shots_need_a_training_set(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    words = ("engine.model=m", "engine.base_url=http://127.0.0.1:9/v1", "--no-untrained", "--out", tmp_path)
    done = extune("baseline", recipe_file, "data.train=", "engine.shots=1", *words)
    assert done.code == 2
    assert "data.train is not set" in done.err
