"""A user's own prompt template, from a JSON or YAML file: `prompt_input` with the places `{instruction}` and `{input}`.

In: a file, or an instruction and a text. Out: the content of the user's message. The four-field files of instruction tuning
(`description`, `prompt_input`, `prompt_no_input`, `response_split`) work as they are: `{{` and `}}` are braces, and
`response_split`, which other programs need to find the answer in the whole text, has no use here. It renders no chat template.
"""

from __future__ import annotations

from pathlib import Path
from string import Formatter

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from extune.errors import RecipeError
from extune.files import read_text

_SHAPE = "prompt_input (and, for examples without text, prompt_no_input) with {instruction} and {input}"
_PLACES = frozenset({"instruction", "input"})


class PromptTemplate(BaseModel):
    """The template's text; part of the contract, so that inference needs no file.

    Attributes:
        description: for people.
        prompt_input: for examples with an instruction and a text.
        prompt_no_input: for examples that have only one of them, which stands at `{instruction}`; None: `prompt_input`.
        response_split: not used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    prompt_input: str
    prompt_no_input: str | None = None
    response_split: str | None = None

    @field_validator("prompt_input", "prompt_no_input")
    @classmethod
    def _known_places(cls, template: str | None) -> str | None:
        foreign = _find_places(template or "") - _PLACES
        if foreign:
            raise ValueError(f"unknown place {{{sorted(foreign)[0]}}}; braces that are no place are written {{{{ and }}}}")
        return template

    def fill(self, instruction: str, text: str) -> str:
        """The content of the user's message.

        Raises:
            RecipeError: the template ignores the instruction or the text, and it is not empty; names the field.
        """
        if not instruction:
            instruction, text = text, ""
        template = self.prompt_input if text or self.prompt_no_input is None else self.prompt_no_input
        places = _find_places(template)
        for place, field, value in (("instruction", "instruction", instruction), ("input", "text", text)):
            if value and place not in places:
                raise RecipeError(
                    f"the template ignores the example's {field}, which is not empty",
                    where="prompt.template",
                    expected=f"{{{place}}} in {'prompt_input' if template is self.prompt_input else 'prompt_no_input'}",
                    fix=f"add {{{place}}} to the template, or leave the {field} of the examples empty",
                )
        return template.format(instruction=instruction, input=text)


def read_prompt_template(path: Path) -> PromptTemplate:
    """The template in a JSON or YAML file.

    Raises:
        RecipeError: not YAML (of which JSON is a part), a missing or unknown field, or an unknown place.
        DataError: the file is missing or not text.
    """
    try:
        return PromptTemplate.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        reason = f"{key}: {first['msg'].removeprefix('Value error, ')}" if key else first["msg"]
    raise RecipeError(f"is no prompt template: {reason}", where=str(path), expected=_SHAPE, fix="correct prompt.template")


def _find_places(template: str) -> set[str]:
    """Names between braces; a lone brace is none of them and makes a ValueError."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
