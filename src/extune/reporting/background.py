"""Where a score comes from: the recipe, the manifest and the training curves of its run, ready for a page.

In: a run directory. Out: what of it is there. It reads no weights and no scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from extune.errors import DataError
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
        RecipeError: the recipe cannot be read.
    """
    recipe = hide_folders(run.recipe().model_dump(mode="json")) if run.recipe_file.is_file() else {}
    manifest = hide_folders(read_json(run.manifest_file)) if run.manifest_file.is_file() else {}
    if not run.log.is_file():
        return Background(recipe, manifest)
    try:
        return Background(recipe, manifest, render_curves(run.log, say_in_svg))
    except DataError as error:  # the scores are worth a page without the curves
        return Background(recipe, manifest, note=hide_folders(str(error)))
