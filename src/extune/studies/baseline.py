"""`extune baseline`: what can be had without training, and what was trained, in one table by one scorer.

In: a recipe, finished runs. Out: scores of look-ups in the training set, of servers, of the untrained base, of the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from extune.data.checks import require_unique_ids
from extune.data.splits import find_split, read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.engines.openai_engine import OpenAIEngine, Usage
from extune.engines.pace import Clock
from extune.errors import InputError, RecipeError, RunError
from extune.evaluation.assessment import list_baselines
from extune.evaluation.scoring import require_gold, score_predictions
from extune.evaluation.training_reference import TrainingReference
from extune.files import write_json, write_text
from extune.predicting.draft import open_untrained
from extune.predicting.endpoint import open_endpoint, show_before, with_turns
from extune.predicting.look_up import fit_lookup
from extune.recipe.endpoint import EndpointSection
from extune.recipe.sections import Recipe
from extune.reporting.baseline_table import BaselineRow, BaselineTable
from extune.reporting.scores_folder import read_scores_folder
from extune.runs.manifest import hash_data
from extune.runs.run_dir import RunDir
from extune.stages.evaluate import Progress, Scored, describe_score, score_examples, write_scores

TABLE_JSON, TABLE_MARKDOWN = "baselines.json", "baselines.md"
_ANSWERS = "answers"
_TRAINED_ENGINE = "transformers"
_CHUNK = 64


@dataclass(frozen=True)
class _Job:
    """What all rows of the table share."""

    recipe: Recipe
    out: Path
    split: str
    file: Path
    examples: tuple[Example, ...]
    train: tuple[Example, ...]
    reference: TrainingReference | None
    progress: Progress | None


def run_baselines(
    recipe: Recipe,
    out: Path,
    *,
    split: str = "test",
    untrained: bool = True,
    runs: Sequence[Path] = (),
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> BaselineTable:
    """Score everything on one split and write the table as JSON and Markdown, and a folder of scores for each model.

    Args:
        recipe: with an `engine` section where a server is to be asked.
        out: folder; answers of a server that are there already are not asked for again.
        split: `test` or `dev`.
        untrained: predict with the untrained base of the recipe.
        runs: trained ones, already evaluated on this split.
        progress: is told rows done and rows in all, of each model.
        clock: of the waits between attempts.

    Raises:
        DataError: the split has no examples, or one without gold.
        EngineError: the server does not answer; what it answered before is kept.
        RunError: a run was not evaluated on this test set.
    """
    job, notes = _read(recipe, out, split, progress)
    rows = _score_lookups(job)
    if recipe.endpoint is not None:
        rows += [_ask_server(job, recipe.endpoint, shots, clock) for shots in recipe.endpoint.shots]
    if untrained:
        scored = score_examples(open_untrained(recipe, recipe.base.model), job.examples, progress)
        rows.append(_finish(job, f"untrained {recipe.base.model}", "untrained", scored))
    rows += [row for run in runs for row in _read_run(job, run)]
    if not rows:
        raise RecipeError(
            "there is nothing to score",
            where="extune baseline",
            expected="an engine section, the untrained base, a run, or a training set to look things up in",
            fix="leave --no-untrained out, or name engine.base_url and engine.model",
        )
    test_set_hash = hash_data(job.file) or ""
    table = BaselineTable(recipe.name, recipe.task.kind, split, str(job.file), test_set_hash, tuple(rows), notes)
    write_json(out / TABLE_JSON, table.to_json())
    write_text(out / TABLE_MARKDOWN, table.to_markdown())
    return table


def _read(recipe: Recipe, out: Path, split: str, progress: Progress | None) -> tuple[_Job, tuple[str, ...]]:
    """Test set, and training set where it is here; what is missing of the latter is said."""
    examples = read_split(recipe.data, split, recipe.task).examples
    require_unique_ids(examples)
    for example in examples:
        require_gold(recipe.task, example)
    notes: tuple[str, ...] = ()
    train: tuple[Example, ...] = ()
    try:
        train = read_split(recipe.data, "train", recipe.task).examples
    except InputError as error:
        if recipe.endpoint is not None and any(recipe.endpoint.shots):
            raise
        notes = (f"nothing is looked up in train, which cannot be read ({error.where}: {error.what})",)
    reference = TrainingReference.fit(train) if train else None
    file = find_split(recipe.data, split) or Path()
    return _Job(recipe, out, split, file, examples, train, reference, progress), notes


def _score_lookups(job: _Job) -> list[BaselineRow]:
    rows = []
    for name, predict in list_baselines(job.recipe.task, job.reference).items():
        predictions = [Prediction(example.id, predict(example), "") for example in job.examples]
        rows.append(BaselineRow(name, score_predictions(job.recipe.task, job.examples, predictions)))
    return rows


def _ask_server(job: _Job, section: EndpointSection, shots: int, clock: Clock | None) -> BaselineRow:
    """Predict with a server, some training examples shown before each question."""
    with closing(OpenAIEngine(section, job.recipe.prompt.max_answer_tokens, job.out / _ANSWERS, clock)) as engine:
        lookup = fit_lookup(job.recipe, job.train)
        predictor = open_endpoint(job.recipe, engine, lookup)
        turns = show_before(predictor.encoder.contract, predictor.encoder.tokenizer, job.train, shots, lookup)
        asked = [with_turns(example, turns) for example in job.examples]
        started = perf_counter()
        predictions = []
        for prediction in predictor.predict_many(asked, _CHUNK):
            predictions.append(prediction)
            if job.progress is not None:
                job.progress(len(predictions), len(asked))
        seconds = perf_counter() - started
        usage = engine.usage
    score = score_predictions(job.recipe.task, job.examples, predictions)
    scored = Scored(job.recipe.task, job.examples, tuple(predictions), score, seconds)
    notes = () if len(turns) == shots else (f"train has {len(turns)} examples to show, not {shots}",)
    name = f"{section.model}, {shots}-shot"
    return _finish(job, name, f"{_folder_name(section.model)}-{shots}-shot", scored, usage, notes)


def _finish(
    job: _Job, name: str, folder: str, scored: Scored, usage: Usage | None = None, notes: tuple[str, ...] = ()
) -> BaselineRow:
    """Write a model's folder of scores, which `extune compare` reads."""
    meta = describe_score(job.recipe.name, job.split, name, job.file, scored)
    write_scores(job.out / folder, scored, meta, reference=job.reference)
    return BaselineRow(name, scored.score, scored.seconds, usage, notes)


def _read_run(job: _Job, path: Path) -> list[BaselineRow]:
    """Score the saved predictions of a run, or of each seed of it, once more."""
    run = RunDir(path)
    rows = []
    for one in run.seed_runs() or (run,):
        folder = read_scores_folder(one.scores(job.split, _TRAINED_ENGINE))
        if folder.meta.get("test_set_hash") != hash_data(job.file):
            raise RunError(
                f"was evaluated on {folder.meta.get('file')}, another test set than {job.file}",
                where=str(folder.path),
                expected=f"test_set_hash {hash_data(job.file)}",
                fix=f"extune evaluate {one.path} --split {job.split}",
            )
        score = score_predictions(job.recipe.task, folder.examples, folder.predictions)
        name = f"trained: {path.name}" + ("" if one.path == path else f" ({one.path.name})")
        rows.append(BaselineRow(name, score))
    return rows


def _folder_name(model: str) -> str:
    """A model's name as a folder's."""
    return (
        "".join(character if character.isalnum() or character in "._-" else "-" for character in model).strip(".") or "server"
    )
