"""What is asked of the model: the `task` section of a recipe, frozen.

Four kinds, told apart by `kind`. Names are kept exactly as written; order is the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(min_length=1)]


class TaskModel(BaseModel):
    """Shared settings of the four kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: str | None = Field(None, description="replaces the first line of the prompt; None: extune's own")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of types, fields or labels in the user's order."""
        return ()

    @property
    def answer_formats(self) -> tuple[str, ...]:
        """Names of the answer formats that can hold this task's annotations, the default first."""
        raise NotImplementedError


def _names_with_about(value: object) -> object:
    """Accept a plain list of names as well as a mapping of names to descriptions."""
    if isinstance(value, list | tuple):
        names = [str(name) for name in value]
        if len(set(names)) != len(names):
            raise ValueError(f"names are listed twice: {sorted({n for n in names if names.count(n) > 1})}")
        return dict.fromkeys(names, "")
    if isinstance(value, dict):
        return {name: "" if about is None else about for name, about in value.items()}
    return value


class ExtractionTask(TaskModel):
    """Find typed spans."""

    kind: Literal["extraction"] = "extraction"
    types: dict[Name, str] = Field(min_length=1, description="type name: description (may be empty)")

    _types = field_validator("types", mode="before")(_names_with_about)

    @property
    def names(self) -> tuple[str, ...]:
        """Type names in the user's order."""
        return tuple(self.types)

    @property
    def answer_formats(self) -> tuple[str, ...]:
        """`lines` is the shortest."""
        return "lines", "pairs", "json", "inline", "bio"


class RecordField(BaseModel):
    """One field of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["verbatim", "enum", "text"] = Field(description="verbatim: list of pieces of the text; enum: one of `of`")
    about: str = ""
    of: tuple[Name, ...] = Field((), description="allowed values of an enum")
    distinct: bool = Field(False, description="a verbatim list names no piece twice; answers are held to it")

    @model_validator(mode="after")
    def _lists_only(self) -> RecordField:
        if self.distinct and self.kind != "verbatim":
            raise ValueError(f"distinct is for verbatim lists; a field of kind {self.kind} has one value")
        return self


class RecordTask(TaskModel):
    """Fill named fields."""

    kind: Literal["record"] = "record"
    fields: dict[Name, RecordField] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in the user's order."""
        return tuple(self.fields)

    @property
    def answer_formats(self) -> tuple[str, ...]:
        """One line per field."""
        return ("fields",)

    @property
    def is_verbatim(self) -> bool:
        """True where every field lists pieces of the text."""
        return all(field.kind == "verbatim" for field in self.fields.values())


class ClassificationTask(TaskModel):
    """Choose one label, or any number of them. Without `label_names` every example brings its own candidates."""

    kind: Literal["classification"] = "classification"
    label_names: dict[Name, str] = Field({}, description="label name: description; none: every row names its candidates")
    multi_label: bool = False

    _label_names = field_validator("label_names", mode="before")(_names_with_about)

    @field_validator("label_names")
    @classmethod
    def _several(cls, names: dict[str, str]) -> dict[str, str]:
        if len(names) == 1:
            raise ValueError(f"there is nothing to choose from: label_names has only {next(iter(names))!r}")
        return names

    @property
    def names(self) -> tuple[str, ...]:
        """Label names in the user's order."""
        return tuple(self.label_names)

    @property
    def answer_formats(self) -> tuple[str, ...]:
        """One label, or any number."""
        return ("choices",) if self.multi_label else ("choice",)

    def narrow(self, candidates: Sequence[str]) -> ClassificationTask:
        """This task with these labels only, in their order; descriptions are kept."""
        return self.model_copy(update={"label_names": {name: self.label_names.get(name, "") for name in candidates}})


class GenerationTask(TaskModel):
    """Answer freely."""

    kind: Literal["generation"] = "generation"

    @property
    def answer_formats(self) -> tuple[str, ...]:
        """The text as it is."""
        return ("answer",)


Task = Annotated[ExtractionTask | RecordTask | ClassificationTask | GenerationTask, Field(discriminator="kind")]
