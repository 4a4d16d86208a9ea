"""Budgets that keep the house readable: sizes, names, and no configuration through the environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask
from extune.recipe.adapters import METHODS
from extune.recipe.engines import ENGINE_SECTIONS
from extune.recipe.sections import Recipe

SOURCE = Path(__file__).resolve().parents[1] / "src" / "extune"
FILES = sorted(SOURCE.rglob("*.py"))
BANNED_NAMES = {"utils", "helpers", "common", "misc", "manager"}
SECRETS = "api_key.py"  # a key is the one thing that comes from the environment, by a name that the recipe gives
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_function_is_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            assert (node.end_lineno or 0) - node.lineno + 1 - docstring <= 60, node.name


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for path in SOURCE.rglob("*") if BANNED_NAMES & set(path.stem.strip("_").split("_"))]


def test_a_section_has_at_most_fifteen_fields() -> None:
    sections = [type(field.default) for name, field in Recipe.model_fields.items() if name not in ("name", "task", "engine")]
    for section in [
        *METHODS.values(),
        *ENGINE_SECTIONS.values(),
        Recipe,
        ExtractionTask,
        RecordTask,
        ClassificationTask,
        GenerationTask,
        *sections,
    ]:
        assert len(section.model_fields) <= 15, section


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != SECRETS], ids=[n for n in NAMES if not n.endswith(SECRETS)]
)
def test_nothing_is_configured_through_the_environment(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "getenv", "putenv"}, f"line {node.lineno}"
