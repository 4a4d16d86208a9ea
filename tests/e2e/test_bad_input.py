"""Everything a user can get wrong ends with a four-part error and exit code 2, without a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Extune = Callable[..., object]


def require_error(done: object, *words: str) -> None:
    """Four parts: where and what, what was expected, how to go on."""
    assert done.code == 2, done
    first, *rest = done.err.splitlines()
    assert "Error: " in first
    assert any(line.startswith("  expected: ") for line in rest), done.err
    assert any(line.startswith("  fix: ") for line in rest), done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("bad.txt", "empty")),
        ("黄 B-中药\n芪 I-症状\n".encode(), ("bad.txt:2",)),
        ("黄 O\n芪 I-中药\n".encode(), ("bad.txt:2",)),
        ("黄 B-方剂\n".encode(), ("bad.txt:1", "'方剂'")),
        (b"\xff\xfe\xff\x81\xff B-X\n" + b"\x81\x20\xff\n", ("bad.txt",)),
        ("黄 B-中药\n芪 I-中药\n".encode() + b"\xff\xff O\n", ("bad.txt", "byte")),
    ],
    ids=["empty", "overlapping", "inside-without-begin", "unknown-type", "not-utf-16", "not-utf-8"],
)
def test_a_wrong_data_file(recipe_file: Path, tmp_path: Path, extune: Extune, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    done = extune("train", recipe_file, f"data.train={path}", "--out", tmp_path / "run")
    require_error(done, "DataError", *words)
    assert not (tmp_path / "run").exists()
    assert extune("check", recipe_file, f"data.train={path}").code == 2


def test_a_missing_data_file(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    require_error(extune("train", recipe_file, "data.train=nowhere.txt", "--out", tmp_path / "run"), "nowhere.txt", "not found")
    require_error(extune("train", recipe_file, "data.train=", "--out", tmp_path / "run"), "data.train")


def test_a_text_beyond_the_budget(recipe_file: Path, tmp_path: Path, extune: Extune) -> None:
    done = extune("train", recipe_file, "prompt.max_input_tokens=40", "--out", tmp_path / "run")
    require_error(done, "DataError", "train.jsonl:1", "max_input_tokens", "window or drop")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("training.learning_rat=1",), "did you mean training.learning_rate?"),
        (("trainin.seed=1",), "did you mean training?"),
        (("prompt.format=xml",), "'lines'"),
        (("training.seed=x",), "training.seed"),
        (("training.seed",), "section.key=value"),
        (("base.model=nowhere/model",), "base.model"),
    ],
)
def test_a_wrong_recipe(recipe_file: Path, tmp_path: Path, extune: Extune, words: tuple[str, ...], hint: str) -> None:
    require_error(extune("train", recipe_file, *words, "--out", tmp_path / "run"), "RecipeError", hint)


def test_no_such_recipe_or_run(tmp_path: Path, extune: Extune) -> None:
    require_error(extune("train", "clinic-note"), "did you mean clinic-notes?")
    require_error(extune("check", tmp_path / "nothing.yaml"), "nothing.yaml")
    for verb in (("predict", tmp_path / "nothing", "--text", "头痛"), ("evaluate", tmp_path), ("report", tmp_path)):
        require_error(extune(*verb), "RunError")


def test_training_data_are_asked_for_before_a_hub_is(extune: Extune) -> None:
    require_error(extune("train", "tcm-ner"), "data.train is not set", "data.train=FILE")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def corrupt(path: Path) -> None:
    path.write_bytes(b"\x00not what it was")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (remove, "contract.json"),
        (corrupt, "contract.json"),
        (remove, "adapter"),
        (remove, "adapter/adapter_model.safetensors"),
        (corrupt, "adapter/adapter_model.safetensors"),
        (flip_a_bit, "adapter/adapter_model.safetensors"),
        (remove, "adapter/adapter_config.json"),
        (corrupt, "adapter/adapter_config.json"),
        (remove, "tokenizer"),
        (remove, "tokenizer/tokenizer.json"),
        (corrupt, "tokenizer/tokenizer.json"),
        (corrupt, "tokenizer/tokenizer_config.json"),
    ],
)
def test_a_damaged_run(trained_run: Path, tmp_path: Path, extune: Extune, damage: Callable[[Path], None], name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run, run, ignore=shutil.ignore_patterns("checkpoints"))
    damage(run / name)
    require_error(extune("predict", run, "--text", "头痛"), "RunError", str(run))


def test_a_damaged_evaluation(trained_run: Path, tmp_path: Path, extune: Extune) -> None:
    require_error(extune("report", trained_run, "--split", "dev"), "RunError", "report.json")
    run = tmp_path / "run"
    shutil.copytree(trained_run, run, ignore=shutil.ignore_patterns("checkpoints"))
    remove(run / "recipe.yaml")
    require_error(extune("evaluate", run), "RunError", "recipe.yaml")


def test_wrong_words_on_the_command_line(trained_run: Path, tmp_path: Path, extune: Extune) -> None:
    assert extune("trian").code == 2
    assert extune("train").code == 2
    require_error(extune("evaluate"), "--pred")
    require_error(extune("predict", trained_run, "--file", tmp_path / "in.txt"), "--out")
    require_error(extune("predict", trained_run, "--text", "头痛", "--device", "abacus"), "abacus")
    require_error(extune("predict", trained_run, "--text", "头痛", "--engine", "steam"), "steam")
    require_error(extune("predict", trained_run, "--text", "头痛", "--temperature", "-1"), "temperature")
    require_error(extune("predict", trained_run, "--file", tmp_path / "in.txt", "--out", tmp_path / "out.txt"), "in.txt")


def test_show_says_which_rows_there_are(recipe_file: Path, extune: Extune) -> None:
    require_error(extune("show", recipe_file, "--row", "21"), "from 1 to 20")
    require_error(extune("show", recipe_file, "--line", "0"), "line 0")


def test_debug_shows_where_an_error_comes_from(extune: Extune) -> None:
    from extune.errors import RecipeError

    with pytest.raises(RecipeError):
        extune("train", "no-such-recipe", "--debug")
