"""`extune report`: the reports of an evaluation, written again from its predictions and gold. No model is loaded."""

from __future__ import annotations

from pathlib import Path

from extune.evaluation.assessment import assess
from extune.evaluation.metrics import ExtractionScore
from extune.reporting.page import write_report, write_seed_report
from extune.reporting.scores_folder import read_meta, read_scores_folder
from extune.reporting.training_set import read_training_set
from extune.runs.run_dir import RunDir


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
        write_seed_report(together, scores=scores, meta=read_meta(together))
        folders.append(together)
    return tuple(folders)


def _write_again(run: RunDir, folder: Path) -> ExtractionScore:
    scores = read_scores_folder(folder)
    reference, training_set = read_training_set(run)
    types = tuple(getattr(run.contract().task, "names", ()))
    assessment = assess(scores.examples, scores.predictions, types, reference)
    write_report(
        folder,
        score=assessment.score,
        meta={**scores.meta, "training_set": training_set},
        documents=list(zip(scores.examples, scores.predictions, strict=True)),
        baselines=assessment.baselines,
        atlas=assessment.atlas,
        overlap=assessment.overlap,
    )
    return assessment.score
