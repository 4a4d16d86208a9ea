"""Of the labels of the bundled clinic notes 5 % are made wrong; a real audit must bring them to the top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.studies.corruption import corrupt, spans

from extune.data.readers.own_rows import write_example
from extune.data.splits import read_split
from extune.data.writers import write_rows
from extune.recipe.load import load_recipe
from extune.studies.audit import audit

SHARE = 0.05
ROWS, STEPS = 240, 160


@pytest.mark.slow
def test_the_first_findings_are_wrong_labels_far_more_often_than_chance(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    recipe = load_recipe("clinic-notes", "data.dev=", f"training.max_steps={STEPS}")
    clean = read_split(recipe.data, "train", recipe.task).examples[:ROWS]
    examples, faults = corrupt(clean, recipe.task.names, SHARE, seed=1)
    file = tmp_path / "corrupted.jsonl"
    write_rows(file, [write_example(example) for example in examples])
    found = audit(recipe.model_copy(update={"data": recipe.data.model_copy(update={"train": str(file)})}), tmp_path / "audit")
    first = found.findings[: len(faults)]
    right = sum(any(fault.is_named_by(finding) for fault in faults) for finding in first)
    named = [fault for fault in faults if any(fault.is_named_by(finding) for finding in first)]
    precision, recall = right / len(faults), len(named) / len(faults)
    random = len(faults) / sum(len(spans(example)) for example in examples)
    told = f"k {len(faults)}: precision {precision:.3f}, {precision / random:.1f} times random; recall {recall:.3f}"
    record_property("audit", told)  # stands in the XML of pytest --junit-xml
    assert precision >= 5 * random, told
