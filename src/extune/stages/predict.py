"""`extune predict`: texts become predictions. In: a predictor and a file of texts. Out: a file that grows row by row.

What is in the output already is not predicted again, so an interrupted job is continued by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from time import perf_counter

from extune.data.readers.unlabelled import iter_unlabelled
from extune.data.writers import PredictionWriter
from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.errors import DataError
from extune.predicting.draft import open_untrained
from extune.predicting.open import load_predictor, require_engine_of_bases
from extune.predicting.predictor import Predictor
from extune.recipe.load import load_recipe
from extune.runs.run_dir import RunDir

_CHUNK = 64  # rows that are lost at most where the job is interrupted


@dataclass(frozen=True)
class PredictedFile:
    """What one call did.

    Attributes:
        rows: predicted now.
        kept: rows that stood in the output already.
        problem_rows: of the rows predicted now, those with at least one problem.
        seconds: for the rows predicted now.
    """

    out: Path
    rows: int
    kept: int
    problem_rows: int
    seconds: float


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


def predict_file(predictor: Predictor, source: Path, out: Path, progress: Callable[[int], None] | None = None) -> PredictedFile:
    """Predict every text of `source` that `out` does not hold yet, in order.

    Args:
        predictor: of a run or a base.
        source: `.jsonl`, `.csv` or `.txt`.
        out: `.jsonl`, `.csv` or `.txt`; appended to.
        progress: called after every row with the number of rows done, those that were kept included.

    Raises:
        DataError: a file cannot be read, `out` belongs to another input, or a text does not fit.
    """
    if out.exists() and source.exists() and out.samefile(source):
        raise DataError("input and output are the same file", where=str(out), expected="two files", fix="--out OTHER")
    examples = iter_unlabelled(source)
    rows = problem_rows = 0
    started = perf_counter()
    with PredictionWriter(out, predictor.encoder.task.kind) as writer:
        kept = len(writer.done)
        _skip(examples, writer.done, source, out)
        waiting: list[Example] = []

        def remember() -> Iterator[Example]:
            for example in examples:
                waiting.append(example)
                yield example

        for prediction in predictor.predict_many(remember(), chunk=_CHUNK):
            writer.write(prediction, waiting.pop(0).text)
            rows += 1
            problem_rows += bool(prediction.problems)
            if progress is not None:
                progress(kept + rows)
    return PredictedFile(out, rows, kept, problem_rows, perf_counter() - started)


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
