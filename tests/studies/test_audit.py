"""What an audit does with models, without training any: who is asked about what, the order, and the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.studies.conftest import KnowingJudge, Told
from tests.studies.corruption import KINDS, Fault, corrupt

from extune.data.readers.own_rows import write_example
from extune.data.splits import read_split
from extune.data.writers import write_rows
from extune.domain.annotation import Annotation
from extune.domain.example import Example
from extune.errors import DataError, RecipeError, RunError
from extune.recipe.sections import Recipe
from extune.studies.audit import audit
from extune.studies.trainings import PlannedTraining


@pytest.fixture
def corrupted(recipe: Recipe, tmp_path: Path) -> tuple[Recipe, tuple[Fault, ...]]:
    """The recipe with every tenth label wrong."""
    examples, faults = corrupt(read_split(recipe.data, "train", recipe.task).examples, recipe.task.names, 0.1, 4)
    write_rows(tmp_path / "train.jsonl", [write_example(example) for example in examples])
    return recipe, faults


class Trainings:
    """Opens judges and remembers for which plans."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.planned: list[PlannedTraining] = []
        self.fail_at = fail_at

    def __call__(self, planned: PlannedTraining, _run: Path) -> KnowingJudge:
        if len(self.planned) == self.fail_at:
            raise KeyboardInterrupt
        self.planned.append(planned)
        return KnowingJudge()


def read_rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_wrong_label_is_found_and_no_right_one(
    corrupted: tuple[Recipe, tuple[Fault, ...]], tmp_path: Path, told: Told
) -> None:
    recipe, faults = corrupted
    assert {fault.kind for fault in faults} == set(KINDS)
    trainings = Trainings()
    done = audit(recipe, tmp_path / "out", folds=3, tell=told, open_judge=trainings)
    assert told.lines[0].startswith("plan: 3 trainings, each on 67% of 40 examples")
    assert len(done.findings) == len(faults)
    assert all(any(fault.is_named_by(finding) for finding in done.findings) for fault in faults)
    assert all(finding["confidence"] > 0.5 for finding in done.findings)
    assert done.labels == 80 + sum((fault.kind == "invented") - (fault.kind == "deleted") for fault in faults)
    for planned in trainings.planned:
        assert not {one.id for one in planned.examples} & {one.id for one in planned.asked}
    asked = sorted(example.id for planned in trainings.planned for example in planned.asked)
    assert asked == sorted(f"n{number}" for number in range(40))


def test_the_surest_come_first_and_all_files_have_them(corrupted: tuple[Recipe, tuple[Fault, ...]], tmp_path: Path) -> None:
    class Wavering(KnowingJudge):
        def score(self, questions: Sequence[tuple[Example, Sequence[Annotation]]]) -> list[tuple[float, ...]]:
            return [
                tuple(-float(hash(len(example.text) + rank) % 5) for rank, _ in enumerate(one)) for example, one in questions
            ]

    recipe, _ = corrupted
    out = tmp_path / "out"
    done = audit(recipe, out, open_judge=lambda *_: Wavering())
    odds = [finding["log_odds"] for finding in done.findings]
    assert odds == sorted(odds, reverse=True)
    assert [finding["rank"] for finding in done.findings] == list(range(1, len(odds) + 1))
    assert read_rows(out / "disagreements.jsonl") == list(done.findings)
    first = list(dict.fromkeys(finding["id"] for finding in done.findings))
    tasks = json.loads((out / "label-studio.json").read_text(encoding="utf-8"))
    assert [task["data"]["id"] for task in tasks] == first
    assert [row["id"] for row in read_rows(out / "doccano.jsonl")] == first
    assert all(file.is_file() for file in done.files)
    assert json.loads((out / "audit.json").read_text(encoding="utf-8"))["disagreements"] == len(odds)


def test_what_a_format_cannot_hold_is_held_against_the_whole_answer(
    corrupted: tuple[Recipe, tuple[Fault, ...]], tmp_path: Path
) -> None:
    class Narrow(KnowingJudge):
        def can_write(self, example: Example, annotation: Annotation) -> bool:
            return annotation == self.predict_many([example])[0].annotation

    class Mute(KnowingJudge):
        def can_write(self, _example: Example, _annotation: Annotation) -> bool:
            return False

    recipe, faults = corrupted
    whole = audit(recipe, tmp_path / "whole", open_judge=lambda *_: Narrow())
    assert len(whole.findings) == len(faults)
    assert all(finding["confidence"] > 0.5 for finding in whole.findings)
    mute = audit(recipe, tmp_path / "mute", open_judge=lambda *_: Mute())
    assert [finding["confidence"] for finding in mute.findings] == [None] * len(faults)


def test_an_interrupted_audit_goes_on(corrupted: tuple[Recipe, tuple[Fault, ...]], tmp_path: Path, told: Told) -> None:
    recipe, _ = corrupted
    with pytest.raises(KeyboardInterrupt):
        audit(recipe, tmp_path / "cut", open_judge=Trainings(fail_at=1))
    rest = Trainings()
    done = audit(recipe, tmp_path / "cut", tell=told, open_judge=rest)
    assert [planned.name for planned in rest.planned] == ["fold-2", "fold-3"]
    assert [line.split(":")[0] for line in told.lines[1:]] == ["training 2 of 3", "training 3 of 3"]
    assert done.findings == audit(recipe, tmp_path / "whole", open_judge=Trainings()).findings


def test_another_study_is_not_mixed_with_it(corrupted: tuple[Recipe, tuple[Fault, ...]], tmp_path: Path) -> None:
    recipe, _ = corrupted
    out = tmp_path / "out"
    audit(recipe, out, open_judge=Trainings())
    other = recipe.model_copy(update={"training": recipe.training.model_copy(update={"learning_rate": 1e-5})})
    with pytest.raises(RunError, match=r"training.learning_rate: 0.0002 -> 1e-05"):
        audit(other, out, open_judge=Trainings())
    with pytest.raises(RunError, match="folds: 3 -> 4"):
        audit(recipe, out, folds=4, open_judge=Trainings())
    train = tmp_path / "train.jsonl"
    train.write_text("\n".join(train.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="data_hash"):
        audit(recipe, out, open_judge=Trainings())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="holds no study"):
        audit(recipe, tmp_path / "mine", open_judge=Trainings())


def test_too_few_examples_and_free_answers_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    few = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_limit": 2})})
    with pytest.raises(DataError, match="fold"):
        audit(few, tmp_path / "few", folds=9, open_judge=Trainings())
    free = Recipe(task={"kind": "generation"}, data=recipe.data)
    with pytest.raises(RecipeError, match="wording"):
        audit(free, tmp_path / "free", open_judge=Trainings())
    assert not (tmp_path / "few").exists()
    assert not (tmp_path / "free").exists()
