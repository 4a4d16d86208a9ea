"""`extune evaluate`: predictions of a labelled file, and their score against the file's own annotation.

In: a run and a split, or a file of predictions and a file of gold. Out: scores and the files of their reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from extune.data.checks import require_unique_ids
from extune.data.readers import read_examples
from extune.data.splits import SPLITS, find_split, read_file, read_split
from extune.data.writers import prediction_to_row, read_predictions
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ExtractionTask
from extune.engines.engine import DecodingOptions
from extune.evaluation.metrics import ExtractionScore, MeanDeviation, aggregate_scores, score_extraction
from extune.files import write_text
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor
from extune.predicting.predictor import Predictor
from extune.reporting.page import write_report, write_seed_report
from extune.runs.manifest import hash_data, now
from extune.runs.run_dir import RunDir

_CHUNK = 256  # rows between two movements of the progress bar
PREDICTIONS, GOLD = "predictions.jsonl", "gold.jsonl"

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
    """

    split: str
    engine: str
    scores: tuple[ExtractionScore, ...]
    folders: tuple[Path, ...]
    seconds: float

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
    scored, folders = [], []
    for one in folder.seed_runs() or (folder,):
        predictor = _open(one, engine, base, device, options)
        examples, file = _read(one, split)
        result = score_examples(predictor, examples, progress)
        meta = describe_score(one.path.name, name, place, file, result)
        write_scores(one.scores(name, place), result, meta)
        scored.append(result)
        folders.append(one.scores(name, place))
    if len(scored) > 1:
        seeds = {one.path.name: result.score for one, result in zip(folder.seed_runs(), scored, strict=True)}
        write_seed_report(folder.scores(name, place), scores=seeds, meta=meta | {"run": folder.path.name})
        folders.append(folder.scores(name, place))
    scores = tuple(result.score for result in scored)
    return Evaluation(name, place, scores, tuple(folders), sum(result.seconds for result in scored))


def evaluate_files(predictions: Path, gold: Path, types: Sequence[str] | None = None) -> ExtractionScore:
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
    return _score(examples, tuple(read_predictions(predictions).values()), types or _types_of(examples))


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
    score = _score(examples, predictions, predictor.encoder.task.names)
    return Scored(tuple(examples), tuple(predictions), score, seconds)


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
        "scored": now(),
    }


def write_scores(
    folder: Path, scored: Scored, meta: Mapping[str, object], baselines: Mapping[str, ExtractionScore] | None = None
) -> None:
    """Write predictions, gold and the three reports; with them `extune report` needs nothing else."""
    pairs = list(zip(scored.examples, scored.predictions, strict=True))
    _write_rows(folder / PREDICTIONS, [prediction_to_row(prediction, example.text) for example, prediction in pairs])
    _write_rows(folder / GOLD, [_gold_to_row(example) for example in scored.examples])
    write_report(folder, score=scored.score, meta=meta, documents=pairs, baselines=baselines)


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


def _score(examples: Sequence[Example], predictions: Sequence[Prediction], types: Sequence[str]) -> ExtractionScore:
    return score_extraction(
        {example.id: _extraction(example.gold) for example in examples},
        {prediction.example_id: _extraction(prediction.annotation) for prediction in predictions},
        types,
        {prediction.example_id: prediction.problems for prediction in predictions},
    )


def _extraction(annotation: object) -> Extraction:
    if not isinstance(annotation, Extraction):
        raise TypeError(f"an extraction is scored, not {type(annotation).__name__}")
    return annotation


def _types_of(examples: Sequence[Example]) -> list[str]:
    return sorted({span.type for example in examples for span in _extraction(example.gold).spans})


def _gold_to_row(example: Example) -> dict[str, object]:
    spans = _extraction(example.gold).spans
    entities = [{"start": span.start, "end": span.end, "type": span.type, "text": span.text} for span in spans]
    return {"id": example.id, "text": example.text, "entities": entities}


def _write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
