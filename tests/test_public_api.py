"""The public surface, and that importing it is quick."""

from __future__ import annotations

import subprocess
import sys

import extune

PUBLIC = {
    "Answer", "DecodingOptions", "Example", "Extraction", "ExtuneError", "Fields", "Labels", "Mention", "Prediction",
    "Predictor", "Problem", "Recipe", "RunDir", "Span", "__version__", "check", "dump_recipe", "evaluate", "load_predictor",
    "load_recipe", "read_examples", "train",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(extune.__all__) == PUBLIC
    assert set(dir(extune)) == PUBLIC


def test_every_public_name_resolves() -> None:
    for name in PUBLIC:
        assert getattr(extune, name) is not None


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_extune_imports_no_heavy_library() -> None:
    heavy = {"torch", "transformers", "peft", "accelerate"}
    assert not modules_after("import extune; extune.load_recipe; extune.Span; extune.read_examples") & heavy


def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = """
from extune.cli.main import app
from typer.testing import CliRunner
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
"""
    assert not modules_after(code) & {"torch", "transformers", "peft", "accelerate"}
