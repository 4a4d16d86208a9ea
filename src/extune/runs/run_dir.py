"""Where everything of a run lies. In: a folder. Out: paths, and errors where a file is missing. It reads no weights.

The contract is written last: a folder without it is a training that has not finished.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extune.errors import RunError
from extune.recipe.load import load_recipe
from extune.recipe.sections import Recipe
from extune.runs.contract import Contract, read_contract


@dataclass(frozen=True)
class RunDir:
    """A run directory; its files need not exist yet."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """Resolved and complete; inference never reads it."""
        return self.path / "recipe.yaml"

    @property
    def contract_file(self) -> Path:
        """What inference obeys."""
        return self.path / "contract.json"

    @property
    def manifest_file(self) -> Path:
        """Where the run comes from."""
        return self.path / "manifest.json"

    @property
    def tokenizer(self) -> Path:
        """Tokenizer in Hugging Face layout."""
        return self.path / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        """Resumable states of the training."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """One JSON object a line, written while training."""
        return self.path / "log.jsonl"

    @property
    def curves(self) -> Path:
        """Loss and dev score over the steps."""
        return self.path / "curves.svg"

    @property
    def summary_file(self) -> Path:
        """Of a folder that holds one run per seed."""
        return self.path / "summary.json"

    @property
    def is_finished(self) -> bool:
        """True where the training ended and everything that inference needs was written."""
        return self.contract_file.is_file()

    def scores(self, split: str, engine: str) -> Path:
        """Folder of predictions and reports of one split by one engine."""
        return self.path / "scores" / split / engine

    def seed_run(self, seed: int) -> RunDir:
        """The run of one seed inside the folder of several."""
        return RunDir(self.path / f"seed-{seed}")

    def seed_runs(self) -> tuple[RunDir, ...]:
        """Runs of the seeds that stand in `summary.json`, in its order; empty for a single run.

        Raises:
            RunError: the summary cannot be read.
        """
        if not self.summary_file.is_file():
            return ()
        seeds = read_json(self.summary_file).get("seeds")
        if not isinstance(seeds, list):
            raise _corrupted(self.summary_file, "seeds is missing")
        return tuple(self.seed_run(seed) for seed in seeds)

    def contract(self) -> Contract:
        """The contract.

        Raises:
            RunError: there is none, because the training did not finish or the folder is something else; or it is corrupted.
        """
        if self.seed_runs():
            raise RunError(
                "holds several runs: " + ", ".join(run.path.name for run in self.seed_runs()),
                where=str(self.path),
                expected="one run",
                fix=f"name one of them: {self.seed_runs()[0].path}",
            )
        if not self.is_finished and self.recipe_file.is_file():
            raise RunError(
                "the training did not finish: contract.json is missing",
                where=str(self.path),
                expected="a finished run",
                fix=f"extune train {self.recipe_file} --out {self.path} --resume",
            )
        return read_contract(self.path)

    def recipe(self) -> Recipe:
        """The recipe that was trained.

        Raises:
            RunError: recipe.yaml is missing.
            RecipeError: it cannot be read.
        """
        if not self.recipe_file.is_file():
            raise RunError(
                "recipe.yaml is missing",
                where=str(self.path),
                expected="a run directory made by `extune train`",
                fix="copy the file again from the original run",
            )
        return load_recipe(self.recipe_file)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that an earlier command wrote.

    Raises:
        RunError: missing, not UTF-8, not JSON, or not an object.
    """
    if not path.is_file():
        raise RunError(
            "file not found",
            where=str(path),
            expected="a file that extune wrote",
            fix="run the command again that makes it (extune train, extune evaluate)",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _corrupted(path, str(error)) from None
    if not isinstance(value, dict):
        raise _corrupted(path, "not a JSON object")
    return value


def _corrupted(path: Path, reason: str) -> RunError:
    return RunError(
        f"cannot be read: {reason}",
        where=str(path),
        expected="a JSON object that extune wrote",
        fix="copy the file again from the original run, or make it again",
    )
