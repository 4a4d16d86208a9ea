"""YAML text to plain values in which every name stays what the user wrote.

In: YAML text. Out: nested dicts, lists and strings, and the line of each key. A plain scalar is always a string (`NO`, `01`,
`1.0`, `2024-05-01`, `on`): the sections' types turn it into a number or a truth value where one is wanted. Only as the value
of a key do `null`, `~` and nothing mean None. It knows nothing about recipes.
"""

from __future__ import annotations

from typing import Any

import yaml

from extune.errors import RecipeError

KeyPath = tuple[str | int, ...]
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class _Loader(yaml.BaseLoader):
    """YAML without implicit types and without aliases, which could make a small file endless."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not used in recipes", mark)
        return super().compose_node(parent, index)


class _Reader:
    """Walks the nodes of one text and remembers the line of each value."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.lines: dict[KeyPath, int] = {}

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            raise self._error(node, f"tag {node.tag!r} is not used in recipes", "a plain value", "remove the tag")
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return node.value

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key is a list or a mapping", "a name", "quote the key")
            here = (*path, key.value)
            if key.value in values:
                first = self.lines[here]
                raise self._error(
                    key, f"key {key.value!r} stands twice, first in line {first}", "each key once", "remove one of the two"
                )
            self.lines[here] = key.start_mark.line + 1
            values[key.value] = None if _is_null(value) else self.read(value, here)
        return values

    def _error(self, node: yaml.Node, what: str, expected: str, fix: str) -> RecipeError:
        return RecipeError(what, where=f"{self._source}:{node.start_mark.line + 1}", expected=expected, fix=fix)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def parse_yaml(text: str, source: str) -> tuple[Any, dict[KeyPath, int]]:
    """The value of one YAML text, and the 1-based line of every key and item in it.

    Args:
        text: one YAML document.
        source: names the text in errors.

    Raises:
        RecipeError: not YAML, a duplicate key, an alias or a tag.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RecipeError(
            f"not YAML: {what}",
            where=f"{source}:{mark.line + 1}" if mark else source,
            expected="a mapping of sections such as task, data and training",
            fix="check the indentation, and quote values that contain ': ' or begin with a special character",
        ) from None
    if node is None or _is_null(node):
        return None, {}
    reader = _Reader(source)
    return reader.read(node, ()), reader.lines


def parse_value(text: str, source: str) -> Any:
    """A value given on the command line: flow YAML where it begins with a bracket or quote, else the text itself."""
    stripped = text.strip()
    if stripped[:1] in ("[", "{", '"', "'"):
        return parse_yaml(stripped, source)[0]
    return None if stripped in _NULLS else stripped
