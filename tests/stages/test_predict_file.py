"""Files of texts: in order, continued after an interruption, refused where the output belongs to something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extune.engines.scripted_engine import ScriptedEngine
from extune.errors import DataError
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_encoder
from extune.predicting.predictor import Predictor
from extune.recipe.load import recipe_from_values
from extune.stages.predict import predict_file


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Answers each text with its first character as the only mention."""
    recipe = recipe_from_values({"task": {"kind": "extraction", "types": ["字"]}})
    base = resolve_base("embedded")
    tokenizer = load_tokenizer(base)
    encoder = build_encoder(tokenizer, draft_contract(recipe, base, tokenizer))
    return Predictor(encoder, ScriptedEngine(lambda prompt: f"字：{prompt.text[0]}" if prompt.text else "无"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{chr(0x4E00 + number)}行\n" for number in range(150)), encoding="utf-8")
    return path


def read_ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_ctrl_c_keeps_what_is_done_and_the_next_call_goes_on(predictor: Predictor, texts: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    assert predict_file(predictor, texts, whole).rows == 150

    def interrupt(done: int) -> None:
        if done == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_file(predictor, texts, cut, interrupt)
    assert len(read_ids(cut)) == 70
    seen: list[int] = []
    done = predict_file(predictor, texts, cut, seen.append)
    assert (done.rows, done.kept) == (80, 70)
    assert seen == list(range(71, 151))
    assert cut.read_bytes() == whole.read_bytes()
    assert read_ids(whole) == [f"in-{number}" for number in range(1, 151)]


def test_an_output_of_another_input_is_refused(predictor: Predictor, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    predict_file(predictor, texts, out)
    before = out.read_bytes()
    other = tmp_path / "other.txt"
    other.write_text("一\n", encoding="utf-8")
    short = tmp_path / "short" / "in.txt"
    short.parent.mkdir()
    short.write_text("一行\n丁行\n", encoding="utf-8")
    for source in (other, short):
        with pytest.raises(DataError, match="which is not the id of row"):
            predict_file(predictor, source, out)
    assert out.read_bytes() == before


def test_input_and_output_must_differ(predictor: Predictor, texts: Path) -> None:
    with pytest.raises(DataError, match="same file"):
        predict_file(predictor, texts, texts)
