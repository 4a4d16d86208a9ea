"""`extune check` on the command line: what it prints, writes and returns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reporting.page_reader import Page

import extune as api

Extune = Callable[..., object]


@pytest.fixture
def spoilt(recipe_file: Path, tmp_path: Path) -> list[str]:
    """Overrides that name copies of the recipe's files with a leak, a duplicate, a wrong name and half a row."""
    overrides = []
    for split in ("train", "dev", "test"):
        shutil.copy(recipe_file.parent / f"{split}.jsonl", tmp_path)
        overrides.append(f"data.{split}={tmp_path}/{split}.jsonl")
    train = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    leaked = (tmp_path / "test.jsonl").read_text(encoding="utf-8").splitlines()[1]
    rows = [*train, train[3], leaked, train[4].replace("中药", "中药 ").replace("4日", "7日"), train[5][:-9]]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return overrides


def test_findings_are_printed_and_written(recipe_file: Path, tmp_path: Path, spoilt: list[str], extune: Extune) -> None:
    json_file, html_file = tmp_path / "check.json", tmp_path / "check.html"
    done = extune("check", recipe_file, *spoilt, "--json", json_file, "--html", html_file)
    assert done.code == 2
    content = json.loads(json_file.read_text(encoding="utf-8"))
    lines = {one["code"]: (one["split"], one["lines"]) for one in content["findings"]}
    assert lines == {
        "name-variant": ("train", [23]),
        "bad-row": ("train", [24]),
        "duplicate": ("train", [21]),
        "leak": ("test", [2]),
    }
    assert content["splits"]["train"]["examples"] == 22
    page = Page(html_file.read_text(encoding="utf-8"))
    assert all(address.startswith("#") for address in page.addresses)
    for one in content["findings"]:
        assert f"error {one['code']} × 1" in done.out or f"warning {one['code']} × 1" in done.out
        assert f"{one['file']}:{one['lines'][0]}" in done.out
        assert f"{one['file']}:{one['lines'][0]}" in page.text
        assert one["fix"] in done.out


def test_fixed_copies_have_fewer_findings(recipe_file: Path, tmp_path: Path, spoilt: list[str], extune: Extune) -> None:
    out = tmp_path / "fixed"
    assert extune("check", recipe_file, *spoilt, "--fix", out).code == 2
    fixed = [f"data.{split}={out}/{split}.jsonl" for split in ("train", "dev", "test")]
    report = api.check(api.load_recipe(recipe_file, *fixed))
    assert [(one.code, one.count) for one in report] == [("bad-row", 1)]
    assert extune("check", recipe_file, *fixed, "data.on_bad_row=skip").code == 0
    again = extune("check", recipe_file, *spoilt, "--fix", out)
    assert again.code == 2
    assert "exists already" in again.err


def test_problems_are_printed_one_a_line(recipe_file: Path, spoilt: list[str]) -> None:
    problems = [str(problem) for problem in api.check(api.load_recipe(recipe_file, *spoilt))]
    assert len(problems) == 4
    assert all("\n" not in problem for problem in problems)
    assert any(problem.startswith("error: ") and "train.jsonl:24: " in problem for problem in problems)


def test_budgets_are_checked(recipe_file: Path) -> None:
    clean = api.load_recipe(recipe_file)
    report = api.check(clean)
    assert report.findings == ()
    facts = report.splits["train"]
    assert facts.tokens == facts.characters  # the embedded base has one token a character
    assert facts.longest_tokens > facts.tokens / facts.examples
    tight = api.check(api.load_recipe(recipe_file, f"prompt.max_input_tokens={facts.longest_tokens // 2}"))
    assert [(one.code, one.split, one.count) for one in tight] == [
        ("too-long", split, report.splits[split].examples) for split in ("train", "dev", "test")
    ]
    dropping = api.check(
        api.load_recipe(recipe_file, f"prompt.max_input_tokens={facts.longest_tokens // 2}", "data.on_too_long=drop")
    )
    assert {one.code for one in dropping} == {"dropped"}
    assert dropping.splits["train"].dropped == facts.examples
