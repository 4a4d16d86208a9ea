"""The training set that a run's scores are compared with, where it still is where the recipe says.

In: a run directory. Out: a reference, or None, and one sentence about it for the report.
"""

from __future__ import annotations

from extune.data.splits import find_split, read_split
from extune.errors import InputError
from extune.evaluation.training_reference import TrainingReference
from extune.runs.manifest import hash_data
from extune.runs.run_dir import RunDir, read_json


def read_training_set(run: RunDir) -> tuple[TrainingReference | None, str]:
    """Read what the run was trained on; a file that is not here any more is said, not raised.

    Raises:
        RunError: the run's recipe is missing.
    """
    recipe = run.recipe()
    try:
        reference = TrainingReference.fit(read_split(recipe.data, "train", recipe.task).examples)
    except InputError as error:
        reason = f"{error.where}: {error.what}" if error.where else error.what
        return None, f"not compared with train, which cannot be read ({reason})"
    file = find_split(recipe.data, "train")
    changed = file is not None and _hash_at_training(run) not in (None, hash_data(file))
    note = f"{file}, {reference.examples} examples"
    return reference, f"{note}, changed since the training" if changed else note


def _hash_at_training(run: RunDir) -> object:
    """SHA-256 of the training file when the run was trained; None where the run does not say."""
    if not run.manifest_file.is_file():
        return None
    splits = read_json(run.manifest_file).get("data")
    train = splits.get("train") if isinstance(splits, dict) else None
    return train.get("sha256") if isinstance(train, dict) else None
