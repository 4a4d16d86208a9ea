"""What comes with extune: named recipes and sample data. In: a name or a `sample:` path. Out: text and paths."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_SHIPPED = "shipped"
SAMPLE_PREFIX = "sample:"


def list_recipes() -> tuple[str, ...]:
    """Names of the shipped recipes, sorted."""
    folder = _shipped_path("recipes")
    return tuple(sorted(path.stem for path in folder.glob("*.yaml"))) if folder.is_dir() else ()


def find_recipe(name: str) -> Path:
    """The file of a shipped recipe; it need not exist."""
    return _shipped_path("recipes") / f"{name}.yaml"


def resolve_data_path(value: str) -> Path:
    """The file that a value of the `data` section names: `sample:...` is shipped, all else relative to the current folder."""
    if value.startswith(SAMPLE_PREFIX):
        return _shipped_path("samples") / value.removeprefix(SAMPLE_PREFIX)
    return Path(value)


def _shipped_path(folder: str) -> Path:
    return Path(str(files("extune"))) / _SHIPPED / folder
