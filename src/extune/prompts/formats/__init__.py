"""Answer formats: how an annotation is written as text, read back, and which texts are allowed."""

from __future__ import annotations

from extune.domain.annotation import Extraction
from extune.domain.task import ExtractionTask
from extune.errors import RecipeError
from extune.prompts.formats.answer import AnswerTextFormat
from extune.prompts.formats.base import AnswerFormat, AnyFormat
from extune.prompts.formats.bio import BioFormat
from extune.prompts.formats.choice import ChoiceFormat, ChoicesFormat
from extune.prompts.formats.fields import FieldsFormat
from extune.prompts.formats.inline import InlineFormat
from extune.prompts.formats.json_ import JsonFormat
from extune.prompts.formats.lines import LinesFormat
from extune.prompts.formats.pairs import PairsFormat

EXTRACTION_FORMATS: tuple[AnswerFormat[ExtractionTask, Extraction], ...] = (
    LinesFormat(),
    PairsFormat(),
    JsonFormat(),
    InlineFormat(),
    BioFormat(),
)
FORMATS: tuple[AnyFormat, ...] = (*EXTRACTION_FORMATS, FieldsFormat(), ChoiceFormat(), ChoicesFormat(), AnswerTextFormat())
"""All formats; a task's `answer_formats` names those that can hold its annotations."""


def build_format(name: str) -> AnyFormat:
    """The format called `name`.

    Raises:
        RecipeError: there is none.
    """
    for answer_format in FORMATS:
        if answer_format.name == name:
            return answer_format
    raise RecipeError(
        f"unknown answer format {name!r}",
        where="prompt.format",
        expected="one of " + ", ".join(answer_format.name for answer_format in FORMATS),
        fix="prompt.format=lines",
    )
