"""`extune evaluate`: predictions of a labelled file, and their score against the file's own annotation.

In: a run and a split. Out: scores and the files of their reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter

from extune.data.checks import require_unique_ids
from extune.data.splits import SPLITS, find_split, read_file, read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import GenerationTask, Task
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.evaluation.assessment import Assessment, assess
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.metrics import ExtractionScore, MeanDeviation, aggregate_scores
from extune.evaluation.score import Score, name_figure
from extune.evaluation.scoring import require_gold, score_predictions
from extune.evaluation.training_reference import TrainingReference
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor, require_engine_of_bases
from extune.predicting.predictor import Predictor
from extune.reporting.background import Background, read_background
from extune.reporting.reports import write_score_seed_report
from extune.reporting.scores_folder import write_scores_folder
from extune.reporting.training_set import read_training_set
from extune.reporting.untrained import BASE_ENGINE, score_untrained
from extune.runs.manifest import hash_data, now
from extune.runs.run_dir import RunDir
from extune.tokens.lengths import LengthReport
from extune.training.losses import sum_target_losses

_CHUNK = 256  # rows between two movements of the progress bar

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Scored:
    """Examples of a task, their predictions in the same order, and the score.

    `seconds` is the time of the predictions, `lengths` what became of texts beyond the budget.
    """

    task: Task
    examples: tuple[Example, ...]
    predictions: tuple[Prediction, ...]
    score: Score
    seconds: float
    lengths: LengthReport = field(default_factory=LengthReport)


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
    scores: tuple[Score, ...]
    folders: tuple[Path, ...]
    seconds: float
    baselines: Mapping[str, Score]
    notes: tuple[str, ...]

    @property
    def score(self) -> Score:
        """The first score; the only one of a single run."""
        return self.scores[0]

    def figures(self) -> dict[str, MeanDeviation]:
        """Mean and deviation of every figure over the seeds."""
        return aggregate_scores(self.scores)

    def __str__(self) -> str:
        """The headline (strict F1 of spans) with its interval, or with its deviation over the seeds."""
        name, figure = name_figure(self.score.headline), self.figures()[self.score.headline]
        if figure.deviation is not None:
            return f"{self.split} {name} {figure.mean:.3f} ± {figure.deviation:.3f} over {figure.count} seeds"
        low, high = self.score.interval or (figure.mean, figure.mean)
        spans = f", {self.score.gold_spans} gold spans" if isinstance(self.score, ExtractionScore) else ""
        return f"{self.split} {name} {figure.mean:.3f} [{low:.3f}, {high:.3f}], {self.score.documents} examples{spans}"


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
    place = engine if base is None else BASE_ENGINE
    runs = folder.seed_runs() or (folder,)
    scored, folders, assessments = [], [], []
    training: tuple[TrainingReference | None, str] | None = None
    for one in runs:
        predictor = _open(one, engine, base, device, options)
        examples, file = _read(one, split)
        result = score_examples(predictor, examples, progress)
        training = training or read_training_set(one)  # late, so that a damaged run is told at once
        meta = describe_score(one.path.name, name, place, file, result) | {"training_set": training[1]}
        untrained = score_untrained(one.scores(name, BASE_ENGINE), result.task, examples) if base is None else {}
        background = read_background(one) if base is None else None  # the untrained base has no training to show
        assessments.append(write_scores(one.scores(name, place), result, meta, untrained, training[0], background))
        scored.append(result)
        folders.append(one.scores(name, place))
    if len(scored) > 1:
        seeds = {one.path.name: result.score for one, result in zip(folder.seed_runs(), scored, strict=True)}
        write_score_seed_report(folder.scores(name, place), scores=seeds, meta=meta | {"run": folder.path.name})
        folders.append(folder.scores(name, place))
    scores = tuple(result.score for result in scored)
    seconds = sum(result.seconds for result in scored)
    left_out = sum(prediction.left_out for result in scored for prediction in result.predictions)
    notes = dict.fromkeys(note for one in assessments for note in one.notes())
    if left_out:
        notes[f"{left_out} predicted items were left out: the model was less sure of them than the run's min_confidence"] = None
    return Evaluation(name, place, scores, tuple(folders), seconds, assessments[0].baselines, tuple(notes))


def score_examples(predictor: Predictor, examples: Sequence[Example], progress: Progress | None = None) -> Scored:
    """Predict and score labelled examples; every one counts, whatever the model answered."""
    require_unique_ids(examples)
    for example in examples:
        require_gold(predictor.encoder.task, example)  # before the model works
    started = perf_counter()
    predictions = []
    for prediction in predictor.predict_many(examples, chunk=_CHUNK):
        predictions.append(prediction)
        if progress is not None:
            progress(len(predictions), len(examples))
    seconds = perf_counter() - started
    task, lengths = predictor.encoder.task, predictor.encoder.length_report
    score = score_predictions(task, examples, predictions, loss=_sum_losses(predictor, examples))
    return Scored(task, tuple(examples), tuple(predictions), score, seconds, lengths)


def _sum_losses(predictor: Predictor, examples: Sequence[Example]) -> TargetLoss | None:
    """The loss of the gold answers of a generation, for its perplexity; None for other tasks, or where no model is here."""
    if not isinstance(predictor.encoder.task, GenerationTask) or not isinstance(predictor.engine, TransformersEngine):
        return None
    rows = [row for example in examples for row in predictor.encoder.encode_rows(example)]
    return sum_target_losses(predictor.engine.model, rows) if rows else None


def describe_score(run: str, split: str, engine: str, file: Path, scored: Scored) -> dict[str, object]:
    """What a report says about where its score comes from."""
    return {
        "run": run,
        "split": split,
        "engine": engine,
        "file": str(file),
        "test_set_hash": hash_data(file),
        "decoding": scored.predictions[0].decoding,
        "seconds": scored.seconds,
        "rows_per_second": len(scored.examples) / max(scored.seconds, 1e-9),
        "left_out": sum(prediction.left_out for prediction in scored.predictions),
        "scored": now(),
    } | {name: list(ids) for name, ids in asdict(scored.lengths).items() if name in ("dropped", "shortened") and ids}


def write_scores(
    folder: Path,
    scored: Scored,
    meta: Mapping[str, object],
    baselines: Mapping[str, Score] | None = None,
    reference: TrainingReference | None = None,
    background: Background | None = None,
) -> Assessment:
    """Write predictions, gold and the three reports; with them `extune report` needs nothing else.

    Args:
        folder: is created where it does not exist.
        scored: examples and predictions.
        meta: see `reports.write_score_report`.
        baselines: more scores to show, before those that are computed here.
        reference: of the training set; None leaves out what needs it.
        background: of the run that predicted, for the page.
    """
    assessment = assess(scored.score, scored.task, scored.examples, scored.predictions, reference)
    assessment = replace(assessment, baselines={**(baselines or {}), **assessment.baselines})
    documents = list(zip(scored.examples, scored.predictions, strict=True))
    write_scores_folder(folder, documents, assessment, meta, background)
    return assessment


def _open(run: RunDir, engine: str, base: str | None, device: str | None, options: DecodingOptions | None) -> Predictor:
    if base is not None:
        require_engine_of_bases(engine)
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
