"""`extune evaluate`: predictions of a labelled file, and their score against the file's own annotation.

In: a run and a split, or a file of predictions and a file of gold. Out: scores and the files of their reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

from extune.data.checks import require_unique_ids
from extune.data.readers import read_examples
from extune.data.readers.annotated import write_example
from extune.data.splits import SPLITS, find_split, read_file, read_split
from extune.data.writers import prediction_to_row, read_predictions
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.evaluation.baselines import MajorityClass
from extune.evaluation.generation_metrics import TargetLoss
from extune.evaluation.metrics import ExtractionScore, MeanDeviation, aggregate_scores
from extune.evaluation.score import Score
from extune.evaluation.scoring import guess_task, require_gold, score_predictions
from extune.files import hash_file, write_text
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor
from extune.predicting.predictor import Predictor
from extune.reporting.reports import write_score_report, write_score_seed_report
from extune.reporting.views import name_figure
from extune.runs.manifest import now
from extune.runs.run_dir import RunDir
from extune.tokens.lengths import LengthReport
from extune.training.losses import sum_target_losses

_CHUNK = 256  # rows between two movements of the progress bar
PREDICTIONS, GOLD = "predictions.jsonl", "gold.jsonl"

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Scored:
    """Examples, their predictions in the same order, and the score.

    `seconds` is the time of the predictions, `lengths` what became of texts beyond the budget.
    """

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
    """

    split: str
    engine: str
    scores: tuple[Score, ...]
    folders: tuple[Path, ...]
    seconds: float

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
    place = engine if base is None else "base"
    scored, folders = [], []
    for one in folder.seed_runs() or (folder,):
        predictor = _open(one, engine, base, device, options)
        examples, file = _read(one, split)
        result = score_examples(predictor, examples, progress)
        meta = describe_score(one.path.name, name, place, file, result)
        write_scores(one.scores(name, place), result, meta, _score_baselines(one, examples))
        scored.append(result)
        folders.append(one.scores(name, place))
    if len(scored) > 1:
        seeds = {one.path.name: result.score for one, result in zip(folder.seed_runs(), scored, strict=True)}
        write_score_seed_report(folder.scores(name, place), scores=seeds, meta=meta | {"run": folder.path.name})
        folders.append(folder.scores(name, place))
    scores = tuple(result.score for result in scored)
    return Evaluation(name, place, scores, tuple(folders), sum(result.seconds for result in scored))


def evaluate_files(predictions: Path, gold: Path, types: Sequence[str] | None = None) -> Score:
    """Score a file of predictions against a labelled file; ids tell which belong together.

    Args:
        predictions: `.jsonl` as `extune predict` writes it.
        gold: any labelled file.
        types: the allowed ones, in the order of the table; None allows all.

    Raises:
        DataError: a file cannot be read, or their ids are not the same.
    """
    task = None if types is None else ExtractionTask(types=dict.fromkeys(types, ""))
    examples = read_examples(gold, task=task).examples
    return score_predictions(task or guess_task(examples), examples, tuple(read_predictions(predictions).values()))


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
    lengths = predictor.encoder.length_report
    score = score_predictions(predictor.encoder.task, examples, predictions, loss=_sum_losses(predictor, examples))
    return Scored(tuple(examples), tuple(predictions), score, seconds, lengths)


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
        "test_set_hash": hash_file(file),
        "decoding": scored.predictions[0].decoding,
        "seconds": scored.seconds,
        "rows_per_second": len(scored.examples) / max(scored.seconds, 1e-9),
        "scored": now(),
    } | {name: list(ids) for name, ids in asdict(scored.lengths).items() if name in ("dropped", "shortened") and ids}


def write_scores(
    folder: Path, scored: Scored, meta: Mapping[str, object], baselines: Mapping[str, Score] | None = None
) -> None:
    """Write predictions, gold and the three reports; with them `extune report` needs nothing else."""
    pairs = list(zip(scored.examples, scored.predictions, strict=True))
    _write_rows(folder / PREDICTIONS, [prediction_to_row(prediction, example.text) for example, prediction in pairs])
    _write_rows(folder / GOLD, [write_example(example) for example in scored.examples])
    write_score_report(folder, score=scored.score, meta=meta, documents=pairs, baselines=baselines)


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


def _score_baselines(run: RunDir, examples: Sequence[Example]) -> dict[str, Score]:
    """The majority class of the training file beside a classification; nothing where that file is not here."""
    recipe = run.recipe()
    path = find_split(recipe.data, "train")
    if not isinstance(recipe.task, ClassificationTask) or path is None or not path.exists():
        return {}
    majority = MajorityClass.fit(read_split(recipe.data, "train", recipe.task).examples)
    predictions = [Prediction(example.id, majority.predict(example), "") for example in examples]
    return {"majority class": score_predictions(recipe.task, examples, predictions)}


def _write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
