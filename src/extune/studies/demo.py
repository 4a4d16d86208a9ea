"""`extune demo`: the whole job on the bundled sample.

In: a place. Out: a run, its scores beside those of two baselines, a few extractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from extune.data.splits import find_split, read_split
from extune.domain.annotation import Extraction
from extune.evaluation.assessment import GAZETTEER
from extune.evaluation.metrics import ExtractionScore
from extune.evaluation.score import Score
from extune.evaluation.training_reference import TrainingReference
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor
from extune.recipe.load import load_recipe
from extune.reporting.background import read_background
from extune.reporting.untrained import BASE_ENGINE, score_untrained
from extune.runs.run_dir import RunDir, read_json
from extune.stages.evaluate import describe_score, score_examples, write_scores
from extune.stages.train import train

RECIPE = "clinic-notes"
_SHOWN = 3
_ENGINE = "transformers"


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        dev_f1: of the checkpoint that was kept; None where there is no dev set.
        untrained, gazetteer, trained: scores of the test set: the base before training, a look-up of the strings seen in
            training, the trained model.
        shown: some test texts with what the trained model extracts.
        types: of the task.
        seconds: of the training.
        report: the page to open in a browser.
    """

    run: RunDir
    dev_f1: float | None
    untrained: ExtractionScore
    gazetteer: ExtractionScore
    trained: ExtractionScore
    shown: tuple[tuple[str, Extraction], ...]
    types: tuple[str, ...]
    seconds: float
    report: Path


def run_demo(out: Path, console: Console | None = None) -> DemoResult:
    """Train `clinic-notes`, then score it and its baselines on the bundled test set.

    Args:
        out: the run directory; an interrupted demo goes on, a finished one is scored again.
        console: shows the training.

    Raises:
        ExtuneError: as in `train`.
    """
    recipe = load_recipe(RECIPE)
    run = train(recipe, out, resume=True, console=console)
    examples = read_split(recipe.data, "test", recipe.task).examples
    file = find_split(recipe.data, "test") or Path()
    reference = TrainingReference.fit(read_split(recipe.data, "train", recipe.task).examples)
    untrained = score_examples(open_untrained(recipe, recipe.base.model), examples)
    place = run.scores("test", BASE_ENGINE)  # where `extune report` finds it again
    write_scores(place, untrained, describe_score(run.path.name, "test", BASE_ENGINE, file, untrained), reference=reference)
    predictor = load_predictor(run.path)
    types = predictor.encoder.task.names
    scored = score_examples(predictor, examples)
    folder = run.scores("test", _ENGINE)
    meta = describe_score(run.path.name, "test", _ENGINE, file, scored)
    others = score_untrained(place, scored.task, examples)
    assessment = write_scores(folder, scored, meta, others, reference, read_background(run))
    training = read_json(run.manifest_file)["training"]
    return DemoResult(
        run=run,
        dev_f1=training["best_score"],
        untrained=_require_spans(untrained.score),
        gazetteer=_require_spans(assessment.baselines[GAZETTEER]),
        trained=_require_spans(scored.score),
        shown=tuple(
            (example.text, prediction.annotation)
            for example, prediction in zip(examples[:_SHOWN], scored.predictions, strict=False)
            if isinstance(prediction.annotation, Extraction)
        ),
        types=types,
        seconds=training["seconds"],
        report=folder / "report.html",
    )


def _require_spans(score: Score) -> ExtractionScore:
    if not isinstance(score, ExtractionScore):
        raise TypeError("the demo extracts")
    return score
