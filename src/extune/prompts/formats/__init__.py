"""Answer formats: how an annotation is written as text, read back, and which texts are allowed."""

from __future__ import annotations

from extune.errors import RecipeError
from extune.prompts.formats.base import AnswerFormat
from extune.prompts.formats.bio import BioFormat
from extune.prompts.formats.inline import InlineFormat
from extune.prompts.formats.json_ import JsonFormat
from extune.prompts.formats.lines import LinesFormat
from extune.prompts.formats.pairs import PairsFormat

EXTRACTION_FORMATS: tuple[AnswerFormat, ...] = (LinesFormat(), PairsFormat(), JsonFormat(), InlineFormat(), BioFormat())


def build_format(name: str) -> AnswerFormat:
    """The format called `name`.

    Raises:
        RecipeError: there is none.
    """
    for answer_format in EXTRACTION_FORMATS:
        if answer_format.name == name:
            return answer_format
    raise RecipeError(
        f"unknown answer format {name!r}",
        where="prompt.format",
        expected="one of " + ", ".join(answer_format.name for answer_format in EXTRACTION_FORMATS),
        fix="prompt.format=lines",
    )
