"""Errors that a user can cause, each saying where, what, what was expected and how to go on.

ExtuneError                 exit code 1: failed while running
├── InputError              exit code 2: recipe, data or run directory wrong
│   ├── RecipeError         a key, value or combination in a recipe
│   ├── DataError           a row of a data file, or the file itself
│   ├── FormatError         an annotation that the answer format cannot hold
│   └── RunError            a run directory with a missing, foreign or corrupted file
├── ModelError              a base or adapter that cannot be loaded or is not what the contract says
├── TrainingError           a training that cannot start or went wrong
└── EngineError             an engine that cannot produce completions

Anything else that escapes is a bug of extune.
"""

from __future__ import annotations


class ExtuneError(Exception):
    """Base of every error that extune raises on purpose.

    Args:
        what: what is wrong, with the value.
        where: file, file:line, section.key or component; empty where it would repeat `what`.
        expected: what would have been right.
        fix: what the user can do next, preferably a command.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", expected: str = "", fix: str = "") -> None:
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        super().__init__(self.render())

    def render(self) -> str:
        """The message of up to three lines, without the class name."""
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class InputError(ExtuneError):
    """Something that the user wrote is wrong; nothing was started."""

    exit_code = 2


class RecipeError(InputError):
    """A key, value or combination in a recipe."""


class DataError(InputError):
    """A row of a data file, or the file itself."""


class FormatError(InputError):
    """An annotation that the chosen answer format cannot hold."""


class RunError(InputError):
    """A run directory with a missing, foreign or corrupted file."""


class ModelError(ExtuneError):
    """A base or adapter that cannot be loaded or is not what the contract says."""


class TrainingError(ExtuneError):
    """A training that cannot start or went wrong."""


class EngineError(ExtuneError):
    """An engine that cannot produce completions."""
