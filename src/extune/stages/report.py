"""`extune report`: the reports of an evaluation, written again from its predictions and gold. No model is loaded."""

from __future__ import annotations

from pathlib import Path

from extune.data.readers import read_examples
from extune.data.writers import read_predictions
from extune.domain.task import ExtractionTask
from extune.errors import RunError
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.score import Score
from extune.evaluation.scoring import score_predictions
from extune.reporting.reports import write_score_report, write_score_seed_report
from extune.runs.run_dir import RunDir, read_json


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
        write_score_seed_report(together, scores=scores, meta=_read_meta(together))
        folders.append(together)
    return tuple(folders)


def _write_again(run: RunDir, folder: Path) -> Score:
    meta = _read_meta(folder)
    task = run.contract().task
    reader = "spans" if isinstance(task, ExtractionTask) else "annotated"
    examples = read_examples(folder / "gold.jsonl", reader=reader).examples
    predictions = read_predictions(folder / "predictions.jsonl")
    score = score_predictions(task, examples, list(predictions.values()), loss=_read_loss(folder))
    documents = [(example, predictions[example.id]) for example in examples]
    write_score_report(folder, score=score, meta=meta, documents=documents)
    return score


def _read_loss(folder: Path) -> TargetLoss | None:
    """The loss that only the model knew, from the report that is written again; None where there is none."""
    score = read_json(folder / "report.json").get("score")
    loss = score.get("target_loss") if isinstance(score, dict) else None
    return TargetLoss(float(loss["total"]), int(loss["tokens"])) if isinstance(loss, dict) else None


def _read_meta(folder: Path) -> dict[str, object]:
    meta = read_json(folder / "report.json").get("meta")
    if isinstance(meta, dict):
        return meta
    raise RunError(
        "meta is missing",
        where=str(folder / "report.json"),
        expected="a report of extune",
        fix="extune evaluate writes it again",
    )
