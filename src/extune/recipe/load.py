"""A recipe from YAML plus `section.key=value`, and back to YAML.

In: a shipped name or a file, and overrides. Out: a frozen `Recipe`. It reads nothing but that file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from extune.errors import RecipeError
from extune.files import read_text
from extune.recipe.adapters import METHODS, method_of
from extune.recipe.explain import KeyPath, explain_validation, section_fields, suggest
from extune.recipe.sections import Recipe
from extune.recipe.shipped import find_recipe, list_recipes
from extune.recipe.yaml_text import parse_value, parse_yaml

_LOG = logging.getLogger(__name__)
_FLAT_ADAPTER = frozenset({"r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora"})
"""Keys that the `adapter` section had for every method before each method had a section of its own."""


def load_recipe(name_or_path: str | Path, *overrides: str) -> Recipe:
    """Read, override and check a recipe.

    Args:
        name_or_path: a shipped name (`extune recipe list`), or a .yaml file; its stem is the default of `name`.
        overrides: `section.key=value` each; `section.key=` and `null` mean None, `[a, b]` and `{a: b}` are lists and mappings.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown or duplicate key, a value of the wrong type, or a bad override.
    """
    path = _find(name_or_path)
    source = str(name_or_path)
    content, lines = parse_yaml(read_text(path), source)
    values = _require_mapping(content, source)
    values.setdefault("name", path.stem)
    places = {key: f"{source}:{line}" for key, line in lines.items()}
    _drop_flat_keys(values, source)
    _name_trackers(values)
    given: dict[KeyPath, str] = {}
    for override in overrides:
        given[_apply_override(values, override)] = override
    if ("adapter", "method") in given:
        _drop_keys_of_another_method(values, [key[1] for key in given if key[0] == "adapter"], source)
    places |= given
    return _build(values, places, source)


def recipe_from_values(values: dict[str, Any], source: str = "recipe") -> Recipe:
    """Check plain values such as those of a parsed YAML text.

    Raises:
        RecipeError: as in `load_recipe`.
    """
    return _build(values, {}, source)


def dump_recipe(recipe: Recipe) -> str:
    """Complete YAML that `load_recipe` reads back as the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=120)


def find_changes(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """`section.key: old -> new` for every key in which two recipes differ."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return tuple(_changes(old, new, ""))


def _changes(old: Any, new: Any, prefix: str) -> Iterable[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _changes(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
    elif old != new:
        yield f"{prefix}: {old!r} -> {new!r}"


def _build(values: dict[str, Any], places: dict[KeyPath, str], source: str) -> Recipe:
    _name_trackers(values)
    written = {name: section for name, section in values.items() if section is not None}
    try:
        return Recipe.model_validate(written)
    except ValidationError as error:
        raise explain_validation(error, written, places, source) from None


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = find_recipe(str(name_or_path))
    if path.suffix not in (".yaml", ".yml") and path.name == str(name_or_path) and shipped.is_file():
        return shipped
    names = list_recipes()
    guess = suggest(str(name_or_path), names)
    raise RecipeError(
        "is a folder" if path.is_dir() else "no such recipe",
        where=str(name_or_path),
        expected="a .yaml file, or a shipped recipe: " + ", ".join(names),
        fix=f"did you mean {guess}?" if guess else "check the path, or write a new one: extune recipe new NAME",
    )


def _require_mapping(content: Any, source: str) -> dict[str, Any]:
    if isinstance(content, dict):
        return content
    raise RecipeError(
        "is empty" if content is None else "is not a mapping",
        where=source,
        expected="sections such as task, data and training",
        fix="write one to start from: extune recipe new NAME",
    )


def _apply_override(values: dict[str, Any], override: str) -> KeyPath:
    """Set the value in place; the third part of a key, dots included, is a name in a mapping such as `task.types`."""
    key, equals, text = override.partition("=")
    path = tuple(key.strip().split(".", 2))
    if not equals or not all(path):
        raise RecipeError(
            f"cannot read the override {override!r}",
            expected="section.key=value",
            fix="for example training.learning_rate=1e-4",
        )
    place = values
    for depth, part in enumerate(path[:-1]):
        if place.get(part) is None:
            place[part] = {}
        if not isinstance(place[part], dict):
            raise RecipeError(
                f"{'.'.join(path[: depth + 1])} is not a section",
                where=override,
                expected="one of " + ", ".join(section_fields(path[:depth], values)),
                fix="section.key=value",
            )
        place = place[part]
    place[path[-1]] = parse_value(text, override)
    return path


def _name_trackers(values: dict[str, Any]) -> None:
    """Read `tracking: [wandb]` as `tracking: {report_to: [wandb]}`."""
    if isinstance(values.get("tracking"), str | list):
        values["tracking"] = {"report_to": values["tracking"]}


def _drop_flat_keys(values: dict[str, Any], source: str) -> None:
    """Read a recipe that was resolved when `adapter` had LoRA's keys for every method; there they meant nothing."""
    adapter = values.get("adapter")
    if isinstance(adapter, dict) and method_of(adapter) == "full" and adapter.keys() >= _FLAT_ADAPTER:
        _drop(adapter, sorted(_FLAT_ADAPTER), source)


def _drop_keys_of_another_method(values: dict[str, Any], overridden: Iterable[str | int], source: str) -> None:
    """Where the command line chooses the method, the file's keys for another method are no mistake: drop them, and say so."""
    adapter = values["adapter"]
    section = METHODS.get(method_of(adapter))
    if section is not None:
        _drop(adapter, [key for key in adapter if key not in section.model_fields and key not in overridden], source)


def _drop(adapter: dict[str, Any], keys: Iterable[str], source: str) -> None:
    dropped = {key: adapter.pop(key) for key in keys}
    if dropped:
        shown = ", ".join(f"{key}: {value}" for key, value in dropped.items())
        _LOG.warning("%s: adapter.method is %s, so its other keys are not used: %s", source, method_of(adapter), shown)
