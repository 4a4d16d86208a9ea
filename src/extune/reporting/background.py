"""Where a score comes from: the recipe, the manifest and the training curves of its run, ready for a page.

In: a run directory. Out: what of it is there. It reads no weights and no scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from extune.errors import DataError, RunError
from extune.files import read_text
from extune.reporting.curves import render_curves
from extune.reporting.privacy import hide_folders
from extune.reporting.words import say_in_svg
from extune.runs.run_dir import RunDir, read_json


@dataclass(frozen=True)
class Background:
    """What is known about a run, absolute folders hidden; empty where a file is not there.

    Attributes:
        recipe: complete, as nested values.
        manifest: as in `manifest.json`.
        curves: an `svg` element.
        note: why something is missing.
    """

    recipe: Mapping[str, Any]
    manifest: Mapping[str, Any]
    curves: str = ""
    note: str = ""

    @property
    def recipe_text(self) -> str:
        """The recipe as YAML."""
        return yaml.safe_dump(dict(self.recipe), allow_unicode=True, sort_keys=False, width=100) if self.recipe else ""


def read_background(run: RunDir) -> Background:
    """What stands in a run's folder.

    Raises:
        RunError: a file of the run is corrupted.
    """
    recipe = hide_folders(_read_recipe(run)) if run.recipe_file.is_file() else {}
    manifest = hide_folders(read_json(run.manifest_file)) if run.manifest_file.is_file() else {}
    if not run.log.is_file():
        return Background(recipe, manifest)
    try:
        return Background(recipe, manifest, render_curves(run.log, say_in_svg))
    except DataError as error:  # the scores are worth a page without the curves
        return Background(recipe, manifest, note=hide_folders(str(error)))


def _read_recipe(run: RunDir) -> Mapping[str, Any]:
    """The file as it is: it was complete when it was written, whatever keys this version knows."""
    try:
        recipe = yaml.safe_load(read_text(run.recipe_file))
    except yaml.YAMLError as error:
        raise _corrupted(run, str(error)) from None
    if not isinstance(recipe, dict):
        raise _corrupted(run, "not a mapping")
    return recipe


def _corrupted(run: RunDir, reason: str) -> RunError:
    return RunError(
        f"cannot be read: {reason}",
        where=str(run.recipe_file),
        expected="the recipe that extune wrote",
        fix="copy the file again from the original run",
    )
