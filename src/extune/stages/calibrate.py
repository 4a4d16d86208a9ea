"""`extune calibrate`: the confidences of a run become probabilities of being right, and a threshold for few mistakes.

In: a run whose recipe has a dev split. Out: `calibration.json` and `calibration.svg` in the run. One half of the dev texts
fits the calibrator, the other tells how good it is and where the threshold is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from extune.data.splits import find_split, read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import GenerationTask
from extune.errors import DataError, EngineError, RecipeError
from extune.evaluation.calibration import Calibrator, Selection, fit_calibrator, select_threshold, trace_risk
from extune.evaluation.reliability import Reliability, Verdict, judge_items, sort_into_bins
from extune.evaluation.scoring import require_gold
from extune.predicting.calibration_file import CALIBRATION, Calibration, hash_contract, write_calibration
from extune.predicting.open import load_predictor
from extune.reporting.calibration_plot import draw_calibration
from extune.runs.manifest import hash_data, installed_version
from extune.runs.run_dir import RunDir

MAX_RISK = 0.02
_SEED = 17
_LEAST_ITEMS = 20  # of a half; fewer tell nothing
_CHUNK = 256  # rows between two movements of the progress bar
_PERCENTS = range(1, 51)

Progress = Callable[[int, int | None], None]
Document = tuple[Example, Prediction]


@dataclass(frozen=True)
class Fit:
    """A calibrator and what it makes of the two halves of a split.

    Attributes:
        fitted, held: calibrated verdicts of the half that it was fitted on, and of the other.
        before, after: reliability of raw and of calibrated confidences of the other half.
    """

    calibrator: Calibrator
    fitted: tuple[Verdict, ...]
    held: tuple[Verdict, ...]
    before: Reliability
    after: Reliability


@dataclass(frozen=True)
class Calibrated:
    """What was found and written.

    Attributes:
        fit: of the dev split.
        possible: where nothing can be promised for the risk that was asked for, the least whole percent for which something
            can, as a share; None where there is none up to one half.
    """

    file: Path
    picture: Path
    fit: Fit
    selection: Selection
    possible: float | None


def calibrate(
    run: RunDir | Path | str,
    *,
    max_risk: float = MAX_RISK,
    engine: str = "transformers",
    device: str | None = None,
    progress: Progress | None = None,
) -> Calibrated:
    """Predict the dev split of a run, fit its confidences, and write what was found.

    Args:
        run: one finished run.
        max_risk: share of the kept items that may be wrong, for the threshold.
        engine: see `load_predictor`.
        device: None takes the fastest one here.
        progress: is told rows done and rows in all.

    Raises:
        RunError: a file of the run is missing or corrupted.
        RecipeError: the recipe has no dev split, the task has no confidences, or the risk is no share.
        DataError: the dev split has too few predicted items.
        EngineError: the engine computes no log-probabilities.
    """
    folder = run if isinstance(run, RunDir) else RunDir(Path(run))
    _require_share(max_risk)
    contract, recipe = folder.contract(), folder.recipe()
    if isinstance(contract.task, GenerationTask):
        raise _no_items(folder.path)
    examples = read_split(recipe.data, "dev", recipe.task).examples
    for example in examples:
        require_gold(contract.task, example)  # before the model works
    predictor = load_predictor(folder.path, engine, device, calibrated=False)
    documents: list[Document] = []
    for example, prediction in zip(examples, predictor.predict_many(examples, chunk=_CHUNK), strict=True):
        documents.append((example, prediction))
        if progress is not None:
            progress(len(documents), len(examples))
    fit = fit_documents(documents, predictor.engine.name)
    selection = select_threshold(fit.fitted, fit.held, max_risk)
    curve = trace_risk(fit.held)
    file = find_split(recipe.data, "dev") or Path()
    calibration = Calibration(
        extune_version=installed_version("extune") or "0+unknown",
        contract_hash=hash_contract(folder.path),
        engine=predictor.engine.name,
        decoding=predictor.options.to_json(),
        file=str(file),
        file_hash=hash_data(file),
        seed=_SEED,
        fitted=len(fit.fitted),
        held=len(fit.held),
        calibrator=fit.calibrator,
        selection=selection,
        before=fit.before.to_json(),
        after=fit.after.to_json(),
        curve=curve,
    )
    picture = folder.path / "calibration.svg"
    draw_calibration(picture, fit.before, fit.after, curve, selection)
    write_calibration(folder.path, calibration)
    possible = None if selection.threshold is not None else _find_possible(fit, max_risk)
    return Calibrated(folder.path / CALIBRATION, picture, fit, selection, possible)


def fit_documents(documents: Sequence[Document], engine: str) -> Fit:
    """Fit a calibrator on one half of documents with raw confidences, and judge it on the other.

    Args:
        documents: with gold.
        engine: that predicted, for the errors.

    Raises:
        DataError: there are too few predicted items.
        EngineError: none has a confidence.
    """
    fit_groups, held_groups = split_halves(documents, _SEED)
    fitted, held = _flatten(fit_groups), _flatten(held_groups)
    without = judge_items(documents)[1]
    _require_enough(len(fitted), len(held), without, engine)
    calibrator = fit_calibrator(fit_groups)
    sure_held = calibrator.calibrate(held)
    return Fit(
        calibrator,
        tuple(calibrator.calibrate(fitted)),
        tuple(sure_held),
        sort_into_bins(held, without),
        sort_into_bins(sure_held, without),
    )


def split_halves(documents: Sequence[Document], seed: int) -> tuple[list[list[Verdict]], list[list[Verdict]]]:
    """Verdicts by text, in two halves of the texts; equal texts are one."""
    by_text: dict[str, list[Document]] = {}
    for document in documents:
        by_text.setdefault(document[0].text, []).append(document)
    groups = [judge_items(group)[0] for group in by_text.values()]
    Random(seed).shuffle(groups)
    half = (len(groups) + 1) // 2
    return groups[:half], groups[half:]


def _flatten(groups: Sequence[Sequence[Verdict]]) -> list[Verdict]:
    return [verdict for group in groups for verdict in group]


def _find_possible(fit: Fit, max_risk: float) -> float | None:
    """The least whole percent above `max_risk` for which there is a threshold."""
    shares = (percent / 100 for percent in _PERCENTS if percent / 100 > max_risk)
    return next((share for share in shares if select_threshold(fit.fitted, fit.held, share).threshold is not None), None)


def _require_share(max_risk: float) -> None:
    if not 0 < max_risk < 1:
        raise RecipeError(
            f"max-risk is {max_risk:g}", where="--max-risk", expected="a share above 0 and below 1", fix="--max-risk 0.02"
        )


def _no_items(run: Path) -> RecipeError:
    return RecipeError(
        "a free answer has no items, so it has no confidence",
        where=str(run),
        expected="a run of task.kind extraction, record or classification",
        fix="extune evaluate scores free answers",
    )


def _require_enough(fitted: int, held: int, without: int, engine: str) -> None:
    """Raise where there is too little to fit or to judge."""
    if fitted + held == 0 and without:
        raise EngineError(
            f"none of {without} predicted items has a confidence: engine {engine} computes no log-probabilities",
            where="calibrate",
            expected="an engine that tells how probable its tokens are, and items that are not free text",
            fix="--engine transformers",
        )
    if min(fitted, held) < _LEAST_ITEMS:
        raise DataError(
            f"the predictions of the dev split have {fitted} and {held} items in its two halves",
            where="data.dev",
            expected=f"at least {_LEAST_ITEMS} in each",
            fix="give a larger dev split, or train longer where the model finds next to nothing",
        )
