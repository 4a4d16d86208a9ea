"""`extune evaluate`: predictions of a labelled file, and their score against the file's own annotation.

In: a run and a split. Out: scores and the files of their reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from extune.data.checks import require_unique_ids
from extune.data.splits import SPLITS, find_split, read_file, read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.engines.engine import DecodingOptions
from extune.evaluation.assessment import Assessment, assess, score_predictions
from extune.evaluation.metrics import ExtractionScore, MeanDeviation, aggregate_scores
from extune.evaluation.training_reference import TrainingReference
from extune.files import hash_file
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor
from extune.predicting.predictor import Predictor
from extune.reporting.page import write_seed_report
from extune.reporting.scores_folder import write_scores_folder
from extune.reporting.training_set import read_training_set
from extune.runs.manifest import now
from extune.runs.run_dir import RunDir

_CHUNK = 256  # rows between two movements of the progress bar

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Scored:
    """Examples, their predictions in the same order, and the score; `seconds` is the time of the predictions."""

    examples: tuple[Example, ...]
    predictions: tuple[Prediction, ...]
    score: ExtractionScore
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of one split: one, or one per seed.

    Attributes:
        split: its name, or the stem of the file.
        engine: that produced the predictions.
        scores: of each run.
        folders: where predictions and reports of each run are.
        seconds: of all predictions together.
        baselines: scores of what needs no model, on the same split.
        notes: what the scores have to be read with, one sentence each.
    """

    split: str
    engine: str
    scores: tuple[ExtractionScore, ...]
    folders: tuple[Path, ...]
    seconds: float
    baselines: Mapping[str, ExtractionScore]
    notes: tuple[str, ...]

    @property
    def score(self) -> ExtractionScore:
        """The first score; the only one of a single run."""
        return self.scores[0]

    def figures(self) -> dict[str, MeanDeviation]:
        """Mean and deviation of every figure over the seeds."""
        return aggregate_scores(self.scores)

    def __str__(self) -> str:
        """Strict F1 with its interval, or with its deviation over the seeds."""
        f1 = self.figures()["micro.f1"]
        if f1.deviation is not None:
            return f"{self.split} F1 {f1.mean:.3f} ± {f1.deviation:.3f} over {f1.count} seeds"
        low, high = self.score.interval or (f1.mean, f1.mean)
        counts = f"{self.score.documents} examples, {self.score.gold_spans} gold spans"
        return f"{self.split} F1 {f1.mean:.3f} [{low:.3f}, {high:.3f}], {counts}"


def evaluate(
    run: RunDir | Path | str,
    split: str = "test",
    *,
    engine: str = "transformers",
    base: str | None = None,
    device: str | None = None,
    options: DecodingOptions | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict and score a split of the run's recipe, or any labelled file.

    Args:
        run: a run, or the folder of several seeds, each of which is scored.
        split: `test`, `dev`, `train`, or the path of a file that the recipe's reader understands.
        engine: see `load_predictor`.
        base: score this untrained base instead of the trained weights.
        device: None takes the fastest one here.
        options: None is greedy decoding.
        progress: is told rows done and rows in all.

    Raises:
        RunError: a file of the run is missing or corrupted.
        DataError: the file is missing, or an example is wrong or too long.
    """
    folder = run if isinstance(run, RunDir) else RunDir(Path(run))
    name = _split_name(split)
    place = engine if base is None else "base"
    runs = folder.seed_runs() or (folder,)
    scored, folders, assessments = [], [], []
    training: tuple[TrainingReference | None, str] | None = None
    for one in runs:
        predictor = _open(one, engine, base, device, options)
        examples, file = _read(one, split)
        result = score_examples(predictor, examples, progress)
        training = training or read_training_set(one)  # late, so that a damaged run is told at once
        meta = describe_score(one.path.name, name, place, file, result) | {"training_set": training[1]}
        assessments.append(write_scores(one.scores(name, place), result, meta, reference=training[0]))
        scored.append(result)
        folders.append(one.scores(name, place))
    if len(scored) > 1:
        seeds = {one.path.name: result.score for one, result in zip(folder.seed_runs(), scored, strict=True)}
        write_seed_report(folder.scores(name, place), scores=seeds, meta=meta | {"run": folder.path.name})
        folders.append(folder.scores(name, place))
    scores = tuple(result.score for result in scored)
    seconds = sum(result.seconds for result in scored)
    notes = dict.fromkeys(note for one in assessments for note in one.notes())
    return Evaluation(name, place, scores, tuple(folders), seconds, assessments[0].baselines, tuple(notes))


def score_examples(predictor: Predictor, examples: Sequence[Example], progress: Progress | None = None) -> Scored:
    """Predict and score labelled examples; every one counts, whatever the model answered."""
    require_unique_ids(examples)
    started = perf_counter()
    predictions = []
    for prediction in predictor.predict_many(examples, chunk=_CHUNK):
        predictions.append(prediction)
        if progress is not None:
            progress(len(predictions), len(examples))
    seconds = perf_counter() - started
    score = score_predictions(examples, predictions, predictor.encoder.task.names)
    return Scored(tuple(examples), tuple(predictions), score, seconds)


def describe_score(run: str, split: str, engine: str, file: Path, scored: Scored) -> dict[str, object]:
    """What a report says about where its score comes from."""
    return {
        "run": run,
        "split": split,
        "engine": engine,
        "file": str(file),
        "test_set_hash": hash_file(file),
        "decoding": scored.predictions[0].decoding,
        "seconds": scored.seconds,
        "rows_per_second": len(scored.examples) / max(scored.seconds, 1e-9),
        "scored": now(),
    }


def write_scores(
    folder: Path,
    scored: Scored,
    meta: Mapping[str, object],
    baselines: Mapping[str, ExtractionScore] | None = None,
    reference: TrainingReference | None = None,
) -> Assessment:
    """Write predictions, gold and the three reports; with them `extune report` needs nothing else.

    Args:
        folder: is created where it does not exist.
        scored: examples and predictions.
        meta: see `write_report`.
        baselines: more scores to show beside those that are computed here.
        reference: of the training set; None leaves out what needs it.
    """
    assessment = assess(scored.examples, scored.predictions, list(scored.score.per_type), reference)
    write_scores_folder(folder, list(zip(scored.examples, scored.predictions, strict=True)), assessment, meta, baselines)
    return assessment


def _open(run: RunDir, engine: str, base: str | None, device: str | None, options: DecodingOptions | None) -> Predictor:
    if base is not None:
        return open_untrained(run.recipe(), base, device, options)
    run.contract()  # says more than a missing file
    return load_predictor(run.path, engine, device, options)


def _read(run: RunDir, split: str) -> tuple[tuple[Example, ...], Path]:
    recipe = run.recipe()
    path = find_split(recipe.data, split) if split in SPLITS else Path(split)
    if split not in SPLITS and path is not None:
        return read_file(recipe.data, path, recipe.task).examples, path
    examples = read_split(recipe.data, split, recipe.task).examples
    return examples, path or Path()


def _split_name(split: str) -> str:
    return split if split in SPLITS else Path(split).stem
