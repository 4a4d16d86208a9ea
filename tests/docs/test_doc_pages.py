"""What the pages say exists: links, commands and their options, recipe keys, Python names, modules in diagrams."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import TypeAdapter

import extune
from extune.cli.main import app
from extune.domain.task import Task
from extune.recipe.adapters import METHODS, AnyAdapter
from extune.recipe.engines import ENGINE_SECTIONS, AnyEngine
from extune.recipe.section import Section
from extune.recipe.sections import Recipe
from extune.recipe.yaml_text import parse_value, parse_yaml

ROOT = Path(__file__).resolve().parents[2]
USED = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
"""Pages that people follow. Decisions, the changelog and the log of experiments also tell of what was."""
GUIDES = [page for page in USED if page.name not in ("CHANGELOG.md", "experiments.md")]
LINKED = [*USED, *sorted((ROOT / "docs" / "decisions").glob("*.md")), *sorted((ROOT / "src").rglob("*.md"))]
CHINESE = [page for page in USED if page.name.endswith(".zh-CN.md")]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^(?:python -m )?extune (.+)$")
_KEY = re.compile(rf"\b({'|'.join(Recipe.model_fields)})\.([a-z_0-9]+(?:\.[\w-]+)*)(?=\s*[=:])")


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path, language: str) -> list[str]:
    """The fenced blocks in one language; the empty one for those without."""
    return [body for found, body in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def spans(page: Path) -> list[str]:
    """Code inside lines; a bar that a table needs escaped is a bar."""
    return [code.replace("\\|", "|") for code in _SPAN.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))]


def written_commands(page: Path) -> Iterator[str]:
    """What a page gives as a command of extune, without the comment behind it."""
    for line in [*spans(page), *"\n".join(fences(page, "")).replace("\\\n", " ").split("\n")]:
        command = _COMMAND.match(line.strip())
        if command:
            yield command[1].split(" # ")[0].split("   #")[0].strip()


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the rest of them."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"extune has no verb {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", LINKED, ids=name_page)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))) if "://" not in link]
    missing = [link for link in targets if not (page.parent / link.partition("#")[0]).exists()]
    assert not missing


@pytest.mark.parametrize("page", CHINESE, ids=name_page)
def test_both_languages_link_each_other_at_the_top(page: Path) -> None:
    other = page.with_name(page.name.replace(".zh-CN", ""))
    for one, two in ((page, other), (other, page)):
        assert two.name in _LINK.findall("\n".join(one.read_text(encoding="utf-8").split("\n")[:8])), one.name


@pytest.mark.parametrize("page", [page for page in CHINESE if page.parent.name == "docs"], ids=name_page)
def test_both_languages_show_the_same_commands_and_recipes(page: Path) -> None:
    other = page.with_name(page.name.replace(".zh-CN", ""))
    for language in ("yaml", "python"):
        both = [[re.sub(r"#.*|'.*'", "", body) for body in fences(one, language)] for one in (page, other)]
        assert [body.split() for body in both[0]] == [body.split() for body in both[1]]
    assert {words.split()[0] for words in written_commands(page)} == {words.split()[0] for words in written_commands(other)}


@pytest.mark.parametrize("page", GUIDES, ids=name_page)
def test_commands_and_their_options_exist(page: Path) -> None:
    for written in written_commands(page):
        command, rest = find_command(shlex.split(re.sub(r"[\[\]]|\.\.\.", " ", written)))
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
            "--debug",
            "--help",
        }
        assert [word for word in rest if word.startswith("--") and word not in known] == [], written


def section_model(section: str) -> type[Section]:
    """The class of a section of the recipe, also of one that may be absent."""
    annotation = Recipe.model_fields[section].annotation
    kinds = (annotation, *get_args(annotation))
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section))


def require_key(section: str, rest: str) -> None:
    """Fail where a recipe has no such key; names in mappings such as `task.types` are the user's."""
    parts = rest.split(".")
    if section == "task":
        kinds = [kind for kind in TypeAdapter(Task).json_schema()["$defs"].values() if "kind" in kind["properties"]]
        assert any(parts[0] in kind["properties"] for kind in kinds), f"task.{rest}"
    elif section == "adapter":
        assert any(parts[0] in method.model_fields for method in METHODS.values()), f"adapter.{rest}"
    elif section == "engine":
        assert any(parts[0] in kind.model_fields for kind in ENGINE_SECTIONS.values()), f"engine.{rest}"
    else:
        model = section_model(section)
        for part in parts:
            assert part in model.model_fields, f"{section}.{rest}"
            annotation = model.model_fields[part].annotation
            inner = [
                kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
            ]
            model = inner[0] if inner else model


@pytest.mark.parametrize("page", GUIDES, ids=name_page)
def test_recipe_keys_exist(page: Path) -> None:
    for code in [*spans(page), *fences(page, "")]:
        for section, rest in _KEY.findall(code):
            require_key(section, rest)


def split_entries(body: str) -> Iterator[str]:
    """The top-level entries of a block, one after the other: pages write one section in several ways."""
    lines: list[str] = []
    for line in body.split("\n"):
        if line and not line[0].isspace() and not line.startswith("#") and lines:
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


@pytest.mark.parametrize("page", [page for page in GUIDES if fences(page, "yaml")], ids=name_page)
def test_pieces_of_recipes_parse(page: Path) -> None:
    for body in fences(page, "yaml"):
        for entry in split_entries(body):
            values, _ = parse_yaml(entry, name_page(page))
            for section, value in (values or {}).items():
                if section == "task":
                    TypeAdapter(Task).validate_python(value)
                elif section == "adapter":
                    TypeAdapter(AnyAdapter).validate_python(value)
                elif section == "engine":
                    TypeAdapter(AnyEngine).validate_python(value)
                else:
                    section_model(section).model_validate(value)


@pytest.mark.parametrize("page", [page for page in GUIDES if fences(page, "python")], ids=name_page)
def test_python_compiles_and_uses_public_names(page: Path) -> None:
    for body in fences(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "extune":
                assert node.attr in extune.__all__, node.attr


@pytest.mark.parametrize("page", [page for page in GUIDES if fences(page, "json")], ids=name_page)
def test_json_parses_and_launches_commands_that_exist(page: Path) -> None:
    for body in fences(page, "json"):
        for launched in json.loads(body).get("configurations", ()):
            if launched.get("module") == "extune":
                _, rest = find_command(launched["args"])
                for word in rest:
                    for section, key in _KEY.findall(word):
                        require_key(section, key)
                        parse_value(word.partition("=")[2], word)


@pytest.mark.parametrize("page", [page for page in GUIDES if fences(page, "mermaid")], ids=name_page)
def test_diagrams_name_modules_that_exist(page: Path) -> None:
    for body in fences(page, "mermaid"):
        named = set(re.findall(r"\b[a-z_]+/(?:[a-z_]+/)*(?:[a-z_]+\.py)?", re.sub(r"<br/>", "\n", body)))
        rooms = {path.name for path in (ROOT / "src" / "extune").iterdir() if path.is_dir()}
        modules = {name for name in named if name.split("/")[0] in rooms}
        assert modules
        assert not {name for name in modules if not (ROOT / "src" / "extune" / name).exists()}
        assert not {name for name in named - modules if name.endswith(".py")}
