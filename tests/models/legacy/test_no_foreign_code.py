"""No line of the package asks a library to run code of a checkpoint."""

from __future__ import annotations

import ast
from pathlib import Path

OWN_PIPES = "encoding_processes.py"  # reads only what this program wrote into pipes to its own processes
SOURCE = Path(__file__).resolve().parents[3] / "src" / "extune"


def test_nothing_asks_for_remote_code() -> None:
    assert not [path for path in SOURCE.rglob("*.py") if "trust_remote_code" in path.read_text(encoding="utf-8")]


def test_pickles_are_only_read_as_weights() -> None:
    calls = [
        (path.name, node)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads")
    ]
    foreign = [(name, ast.unparse(call)) for name, call in calls if name != OWN_PIPES]
    assert foreign
    for name, call in foreign:
        assert "weights_only=True" in call, name
