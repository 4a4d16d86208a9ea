"""What pydantic found wrong with a recipe, in the user's words: section.key, value, what was expected, how to go on.

In: pydantic's error, the plain values that it saw and where each stands. Out: one RecipeError. It knows nothing about files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordTask
from extune.errors import RecipeError
from extune.recipe.adapters import METHODS, method_of, methods_with
from extune.recipe.engines import ENGINE_SECTIONS, kind_of
from extune.recipe.sections import Recipe

_SHOWN_PROBLEMS = 5
_SHOWN_CHARACTERS = 60
_TASKS: Mapping[str, type[BaseModel]] = {
    "extraction": ExtractionTask,
    "record": RecordTask,
    "classification": ClassificationTask,
    "generation": GenerationTask,
}
_TAGS: Mapping[str, tuple[str, Iterable[str], str]] = {
    "task": ("kind", _TASKS, "kind: extraction finds typed spans"),
    "adapter": ("method", METHODS, "adapter.method=lora"),
    "engine": ("kind", ENGINE_SECTIONS, "engine.kind=vllm"),
}
"""Sections of which there are several kinds: the key that chooses, its values, an example."""

_WORDS = (
    ("a valid dictionary", "a mapping"),
    ("Dictionary should have", "a mapping with"),
    ("String should have", "text with"),
    ("a valid string", "text"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid boolean", "true or false"),
    ("a valid tuple", "a list"),
)

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class _Complaint:
    where: str
    what: str
    expected: str
    fix: str

    @property
    def hint(self) -> str:
        """What helps most where there is room for one line only."""
        return self.fix if self.what.startswith("unknown key") else f"expected {self.expected}"


def explain_validation(
    error: ValidationError, values: Mapping[str, Any], places: Mapping[KeyPath, str], source: str
) -> RecipeError:
    """One RecipeError for everything that is wrong; the first five problems are listed.

    Args:
        error: raised by validating `values`.
        values: what the user wrote, as plain values.
        places: `file:line`, or the override, of each key.
        source: names the recipe where a key has no place.
    """
    complaints: dict[KeyPath, _Complaint] = {}
    for details in error.errors(include_url=False, include_context=False):
        path = _key_path(details["loc"], values, missing=details["type"] == "missing")
        path = (*path, _TAGS[str(path[0])][0]) if details["type"].startswith("union_tag") else path
        complaints.setdefault(path, _explain(details, path, values, _find_place(path, places, source)))
    found = list(complaints.values())
    first = found[0]
    if len(found) == 1:
        return RecipeError(first.what, where=first.where, expected=first.expected, fix=first.fix)
    lines = [f"  {one.where}: {one.what}; {one.hint}" for one in found[:_SHOWN_PROBLEMS]]
    if len(found) > _SHOWN_PROBLEMS:
        lines.append(f"  ... and {len(found) - _SHOWN_PROBLEMS} more")
    what = "\n".join([f"{len(found)} things are wrong", *lines])
    return RecipeError(what, where=source, expected="a recipe without unknown keys or values", fix=f"begin with: {first.fix}")


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, or None where none is."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def section_fields(path: Sequence[str | int], values: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that may stand under `path`: the sections of a recipe for (), the fields of one section for ("training",).

    `values` is what the user wrote: of `task`, `adapter` and `engine` it chooses the kind.
    """
    if not path:
        return tuple(Recipe.model_fields)
    if path[0] in _TAGS:
        kind = _choose_kind(str(path[0]), values)
        return tuple(kind.model_fields) if kind is not None and len(path) == 1 else ()
    section: type[BaseModel] | None = Recipe
    for part in path:
        field = section.model_fields.get(str(part)) if section is not None else None
        section = _find_section(field.annotation) if field is not None else None
    return tuple(section.model_fields) if section is not None else ()


def _choose_kind(section: str, values: Mapping[str, Any]) -> type[BaseModel] | None:
    """Of a section of which there are several kinds, the one that the user chose; None where there is no such kind."""
    if section == "task":
        return _TASKS.get(_task_kind(values), ExtractionTask)
    written = values.get(section)
    return METHODS.get(method_of(written)) if section == "adapter" else ENGINE_SECTIONS.get(kind_of(written))


def _find_section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, also one that may be None."""
    candidates = (annotation, *get_args(annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _explain(details: ErrorDetails, path: KeyPath, values: Mapping[str, Any], where: str) -> _Complaint:
    key = ".".join(str(part) for part in path) or "the recipe"
    if details["type"] == "extra_forbidden":
        return _explain_unknown(path, values, where)
    if details["type"] == "missing":
        return _Complaint(where, f"{key} is missing", _describe(path, values), f"add {key}")
    if details["type"] == "value_error":
        message = details["msg"].removeprefix("Value error, ")
        return _Complaint(where, message, "values that agree with each other", f"change {key}")
    if details["type"].startswith("union_tag"):
        _, tags, example = _TAGS[str(path[0])]
        return _Complaint(where, f"{key} is {_show(_value_at(values, path))}", "one of " + ", ".join(tags), example)
    expected = (
        details["msg"].split(", unable to")[0].split(" or instance of")[0].removeprefix("Input should ").removeprefix("be ")
    )
    for pydantic_word, word in _WORDS:
        expected = expected.replace(pydantic_word, word)
    return _Complaint(where, f"{key} is {_show(_value_at(values, path))}", expected, f"{key}={_example(path)}")


def _explain_unknown(path: KeyPath, values: Mapping[str, Any], where: str) -> _Complaint:
    *parents, name = path
    known = section_fields(parents, values)
    section = ".".join(str(part) for part in parents)
    prefix = f"{section}." if section else ""
    guess = suggest(str(name), known)
    if guess is None and not parents:
        guess = next((f"{part}.{name}" for part in Recipe.model_fields if name in section_fields((part,), values)), None)
    if parents == ["adapter"] and (others := methods_with(str(name))):
        return _explain_foreign(f"adapter.{name}", method_of(values["adapter"]), known, others, where)
    fix = f"did you mean {prefix}{guess}?" if guess else f"remove {prefix}{name}"
    keys = "one of " + ", ".join(known) if known else "no such key"
    return _Complaint(where, f"unknown key {prefix}{name}", keys, fix)


def _explain_foreign(key: str, method: str, known: Sequence[str], others: Sequence[str], where: str) -> _Complaint:
    """A key of another method than the one that the recipe names."""
    fix = f"remove {key}, or choose a method that has it: adapter.method={others[0]}"
    return _Complaint(where, f"unknown key {key}: method {method} has none", "one of " + ", ".join(known), fix)


def _key_path(location: Sequence[str | int], values: Any, *, missing: bool) -> KeyPath:
    """The part of pydantic's location that the user wrote: without names of union members and `[key]` marks."""
    path: list[str | int] = []
    for part in location:
        inside = (isinstance(values, Mapping) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if inside:
            path.append(part)
            values = values[part]
    if missing:
        path.append(location[-1])
    return tuple(path)


def _find_place(path: KeyPath, places: Mapping[KeyPath, str], source: str) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return source


def _value_at(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else values[part]
    return values


def _task_kind(values: Mapping[str, Any]) -> str:
    task = values.get("task")
    return str(task.get("kind")) if isinstance(task, Mapping) else ""


def _describe(path: KeyPath, values: Mapping[str, Any]) -> str:
    if path == ("task",):
        return "a task section such as {kind: extraction, types: {drug: a medicine}}"
    if path == ("task", "types"):
        return "type names, each with a description that may be empty: {drug: a medicine}"
    return "one of " + ", ".join(section_fields(path[:-1], values) or ("a value",))


def _example(path: KeyPath) -> str:
    """The default of the key, as something that works; `...` where it has none."""
    field = Recipe.model_fields.get(str(path[0])) if path else None
    candidates = [field.annotation, *get_args(field.annotation)] if field is not None else []
    candidates += METHODS.values() if path[:1] == ("adapter",) else ()
    candidates += ENGINE_SECTIONS.values() if path[:1] == ("engine",) else ()
    for section in candidates:
        if len(path) == 2 and isinstance(section, type) and issubclass(section, BaseModel):
            default = section.model_fields[str(path[1])].default if str(path[1]) in section.model_fields else None
            if isinstance(default, str | int | float) and not isinstance(default, bool):
                return str(default)
            if isinstance(default, bool):
                return str(default).lower()
    return "..."


def _show(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
