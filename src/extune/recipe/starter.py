"""A recipe to start from, each key with what it means. In: a name. Out: YAML text.

The sections' own descriptions explain it.
"""

from __future__ import annotations

import yaml
from pydantic.fields import FieldInfo

from extune.recipe.section import Section
from extune.recipe.sections import Recipe

_HEAD = """\
# extune check {name}.yaml    reads the data and says what is wrong with it
# extune train {name}.yaml    trains into runs/{name}
# Keys that are commented out show their defaults.
name: {quoted}

task:
  kind: extraction
  types:                      # name: description for the model (may be empty)
    drug: a medicine
    symptom: what the patient complains of

data:                         # paths are relative to the current folder
  train: train.jsonl          # spans JSONL: {{"text": ..., "entities": [{{"start": 0, "end": 2, "type": "drug"}}]}}
  dev: dev.jsonl              # or columns of tokens and BIO labels, such as train.txt
  test: test.jsonl
"""
_WRITTEN = {"train", "dev", "test"}
_COLUMN = 40


def render_starter(name: str) -> str:
    """A complete recipe in which only types and files have to be changed."""
    lines = [_HEAD.format(name=name, quoted=_scalar(name))]
    for section, field in Recipe.model_fields.items():
        if not isinstance(field.default, Section):
            continue
        fields = type(field.default).model_fields
        if section != "data":
            lines.append(f"\n{section}:\n")
        lines += [_comment(key, inner) for key, inner in fields.items() if key not in _WRITTEN]
    return "".join(lines)


def _comment(key: str, field: FieldInfo) -> str:
    default = field.default
    shown = "null" if default is None else "[]" if default == () else _scalar(default)
    line = f"  # {key}: {shown}"
    return (f"{line:<{_COLUMN}}# {field.description}" if field.description else line) + "\n"


def _scalar(value: object) -> str:
    return (
        yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    )
