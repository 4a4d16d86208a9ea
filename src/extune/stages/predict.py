"""`extune predict`: texts become predictions. In: a predictor and a file of texts. Out: a file that grows row by row.

What is in the output already is not predicted again, so an interrupted job is continued by the same command. With a
review, only what the model is sure of goes to the output; everything else goes to a second file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from time import perf_counter

from extune.data.readers.unlabelled import iter_unlabelled
from extune.data.writers import PredictionWriter
from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.errors import DataError, RecipeError, RunError
from extune.predicting.calibration_file import read_calibration
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor, require_engine_of_bases
from extune.predicting.predictor import Predictor
from extune.predicting.review_file import MIN_CONFIDENCE, Review, ReviewSorter, require_files
from extune.recipe.load import load_recipe
from extune.runs.run_dir import RunDir

AUTO = "auto"
_CHUNK = 64  # rows that are lost at most where the job is interrupted


@dataclass(frozen=True)
class PredictedFile:
    """What one call did.

    Attributes:
        rows: predicted now.
        kept: rows that stood in the output already.
        problem_rows: of the rows predicted now, those with at least one problem.
        seconds: for the rows predicted now.
        sure, unsure: items of these rows in the output, and in the review; None without a review.
        review_rows: rows that were added to the review.
    """

    out: Path
    rows: int
    kept: int
    problem_rows: int
    seconds: float
    sure: int | None = None
    unsure: int | None = None
    review_rows: int = 0


def open_predictor(
    target: Path,
    *,
    base: str | None = None,
    engine: str = "transformers",
    device: str | None = None,
    options: DecodingOptions | None = None,
) -> Predictor:
    """The predictor of a run, or of an untrained base for the task of a run or recipe.

    Args:
        target: a run directory; with `base` also a shipped recipe's name or a .yaml file.
        base: `embedded` or a local folder; None takes the run's trained weights.
        engine: see `load_predictor`.
        device: None takes the fastest one here.
        options: None is greedy decoding.

    Raises:
        ExtuneError: run, recipe or base are missing or corrupted.
    """
    if base is not None:
        require_engine_of_bases(engine)
        recipe = RunDir(target).recipe() if target.is_dir() else load_recipe(str(target))
        return open_untrained(recipe, base, device, options)
    RunDir(target).contract()  # says more than a missing file: unfinished, or the folder of several seeds
    return load_predictor(target, engine, device, options)


def choose_threshold(run: Path, wanted: str, predictor: Predictor) -> float:
    """The least confidence of what is sure.

    Args:
        run: whose calibration is asked.
        wanted: a number from 0 to 1, or `auto`: the threshold that `extune calibrate` found.
        predictor: of the run.

    Raises:
        RecipeError: neither a number nor `auto`, or the task has no confidences.
        RunError: `auto` without a calibration that found a threshold for such predictions.
    """
    if predictor.encoder.task.kind == "generation":
        raise RecipeError(
            "a free answer has no items, so it has no confidence",
            where=MIN_CONFIDENCE,
            expected="a run of task.kind extraction, record or classification",
            fix=f"leave {MIN_CONFIDENCE} and --review out",
        )
    if wanted == AUTO:
        return _calibrated_threshold(run, predictor)
    try:
        least = float(wanted)
    except ValueError:
        least = -1.0
    if not 0 <= least <= 1:
        raise RecipeError(
            f"is {wanted!r}", where=MIN_CONFIDENCE, expected=f"a number from 0 to 1, or {AUTO}", fix=f"{MIN_CONFIDENCE} 0.9"
        )
    return least


def _calibrated_threshold(run: Path, predictor: Predictor) -> float:
    calibration = read_calibration(run)
    if calibration is None:
        reason, fix = "the run is not calibrated", f"extune calibrate {run}, or {MIN_CONFIDENCE} 0.9 of raw confidences"
    elif predictor.calibrate is None:
        reason = "the calibration is one of another engine or other decoding options"
        fix = "predict as it was calibrated: greedily, with the same engine"
    elif calibration.selection.threshold is None:
        asked = calibration.selection.max_risk
        reason = f"no threshold keeps the risk at {asked:.2g}: {calibration.selection.refusal}"
        fix = f"extune calibrate {run} --max-risk with a larger share, or a number for {MIN_CONFIDENCE}, which promises nothing"
    else:
        return calibration.selection.threshold
    raise RunError(reason, where=f"{MIN_CONFIDENCE} {AUTO}", expected="a calibration with a threshold", fix=fix)


def predict_file(
    predictor: Predictor,
    source: Path,
    out: Path,
    progress: Callable[[int], None] | None = None,
    review: Review | None = None,
) -> PredictedFile:
    """Predict every text of `source` that `out` does not hold yet, in order.

    Args:
        predictor: of a run or a base.
        source: `.jsonl`, `.csv` or `.txt`.
        out: `.jsonl`, `.csv` or `.txt`; appended to.
        progress: called after every row with the number of rows done, those that were kept included.
        review: where everything goes that is not sure; None: everything goes to `out`.

    Raises:
        DataError: a file cannot be read, `out` belongs to another input or another review, or a text does not fit.
        EngineError: with a review, the engine computes no log-probabilities.
    """
    require_files(source, out, review)
    if review is not None:
        predictor = replace(predictor, min_confidence=0.0)  # what the contract leaves out is looked at too
    examples = iter_unlabelled(source)
    rows = problem_rows = 0
    started = perf_counter()
    with ExitStack() as open_files:
        writer = open_files.enter_context(PredictionWriter(out, predictor.encoder.task.kind))
        sorter = None if review is None else open_files.enter_context(ReviewSorter(review, frozenset(writer.done)))
        kept = len(writer.done)
        _skip(examples, writer.done, source, out)
        waiting: list[Example] = []

        def remember() -> Iterator[Example]:
            for example in examples:
                waiting.append(example)
                yield example

        for prediction in predictor.predict_many(remember(), chunk=_CHUNK):
            text = waiting.pop(0).text
            writer.write(prediction if sorter is None else sorter.keep(prediction, text), text)
            rows += 1
            problem_rows += bool(prediction.problems)
            if progress is not None:
                progress(kept + rows)
    done = PredictedFile(out, rows, kept, problem_rows, perf_counter() - started)
    return done if sorter is None else replace(done, sure=sorter.sure, unsure=sorter.unsure, review_rows=sorter.rows)


def _skip(examples: Iterator[Example], done: tuple[str, ...], source: Path, out: Path) -> None:
    """Move past the examples that are done; they must be the first of the input."""
    for number, (example_id, example) in enumerate(zip(done, chain(islice(examples, len(done)), [None]), strict=False), 1):
        if example is None or example.id != example_id:
            raise DataError(
                f"row {number} has id {example_id!r}, which is not the id of row {number} of {source}",
                where=str(out),
                expected="a new file, or predictions of an interrupted run on the same input",
                fix="choose another --out, or remove the file",
            )
