"""`extune report`: the reports of an evaluation, written again from its predictions and gold. No model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from extune.evaluation.assessment import assess
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.score import Score
from extune.evaluation.scoring import score_predictions
from extune.reporting.background import read_background
from extune.reporting.reports import write_score_report, write_score_seed_report
from extune.reporting.scores_folder import read_meta, read_scores_folder
from extune.reporting.training_set import read_training_set
from extune.reporting.untrained import BASE_ENGINE, score_untrained
from extune.runs.run_dir import RunDir

BASE = "base"
"""The engine's name in the scores of an untrained base, which has no training to show."""


def report(run: RunDir | Path | str, split: str = "test", engine: str = "transformers") -> tuple[Path, ...]:
    """Score and draw again what `extune evaluate` left behind; returns the folders that were written.

    Raises:
        RunError: this split was never evaluated with this engine, or a file of it is missing or corrupted.
        DataError: predictions or gold have a wrong row.
    """
    folder = run if isinstance(run, RunDir) else RunDir(Path(run))
    runs = folder.seed_runs() or (folder,)
    scores = {one.path.name: _write_again(one, one.scores(split, engine)) for one in runs}
    folders = [one.scores(split, engine) for one in runs]
    if folder.seed_runs():
        together = folder.scores(split, engine)
        write_score_seed_report(together, scores=scores, meta=read_meta(together))
        folders.append(together)
    return tuple(folders)


def _write_again(run: RunDir, folder: Path) -> Score:
    scores = read_scores_folder(folder)
    task = run.contract().task
    split, engine = folder.parent.name, folder.name
    untrained = {} if engine == BASE_ENGINE else score_untrained(run.scores(split, BASE_ENGINE), task, scores.examples)
    reference, training_set = read_training_set(run)
    score = score_predictions(task, scores.examples, scores.predictions, loss=_find_loss(scores.report))
    assessment = assess(score, task, scores.examples, scores.predictions, reference)
    write_score_report(
        folder,
        assessment=replace(assessment, baselines={**untrained, **assessment.baselines}),
        meta={**scores.meta, "training_set": training_set},
        documents=list(zip(scores.examples, scores.predictions, strict=True)),
        background=None if folder.name == BASE else read_background(run),
    )
    return score


def _find_loss(report: Mapping[str, Any]) -> TargetLoss | None:
    """The loss that only the model knew, from the report that is written again; None where there is none."""
    score = report.get("score")
    loss = score.get("target_loss") if isinstance(score, dict) else None
    return TargetLoss(float(loss["total"]), int(loss["tokens"])) if isinstance(loss, dict) else None
