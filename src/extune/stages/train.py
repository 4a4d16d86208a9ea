"""`extune train`: a recipe becomes a run directory.

In: a recipe, and examples where they do not come from files. Out: a finished run. Everything is written atomically and the
contract last, so an interrupted run never looks finished and `resume` continues it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from peft import PeftModel
from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from extune.data.checks import require_unique_ids
from extune.data.readers import ReadResult
from extune.data.split_reading import SplitReading
from extune.data.splits import find_split, name_split, read_split, require_name
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.errors import RecipeError, RunError
from extune.evaluation.scoring import require_gold, score_predictions
from extune.files import write_json, write_text
from extune.models.base_model import choose_device, hash_base, is_here, load_tokenizer, pin_base, resolve_base
from extune.models.checkpoint import hash_weights, help_to_save_weights, save_tokenizer, save_weights
from extune.models.continuing import start_model
from extune.models.quantize import quantization_of
from extune.predicting.draft import draft_contract
from extune.predicting.encoding import BatchEncoder, RememberingEncoder, build_encoder, count_examples
from extune.predicting.least_confidence import choose_min_confidence
from extune.predicting.look_up import fit_lookup
from extune.predicting.open import build_predictor
from extune.predicting.predictor import Predictor
from extune.predicting.training_rows import TrainingRows, encode_examples, prepare_rows
from extune.recipe.load import dump_recipe, find_changes
from extune.recipe.sections import Recipe, TrackingSection
from extune.reporting.curves import draw_curves
from extune.runs.contract import Contract, write_contract
from extune.runs.manifest import SplitProvenance, hash_data, list_skips, now, write_manifest
from extune.runs.run_dir import RunDir
from extune.tokens.encode import Encoder
from extune.training.lockstep import in_lockstep
from extune.training.losses import sum_target_losses
from extune.training.precision import Precision, choose_precision
from extune.training.processes import Process, gather_shares, share_of, this_process
from extune.training.setup import TrainingSetup
from extune.training.tracking import require_trackers
from extune.training.trainer import ScoreDev, train_model
from extune.training.zero import pieces_of, require_strategy

_RUNS = Path("runs")


@dataclass(frozen=True)
class _Split:
    """What was read of one split, and where."""

    examples: tuple[Example, ...]
    file: str | None
    path: Path | None
    result: ReadResult | None


def train(
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    train: Sequence[Example] | None = None,
    dev: Sequence[Example] | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> RunDir:
    """Train once, or once per seed of `training.seeds` into a folder `seed-N` each.

    Args:
        recipe: what to train.
        out: the run directory; None: `runs/` and the recipe's name.
        train: training examples instead of the file of `data.train`.
        dev: dev examples instead of the file of `data.dev`.
        resume: continue an interrupted run from its last checkpoint; a run that does not exist yet is begun.
        console: shows a progress bar; None shows nothing.

    Raises:
        RunError: the directory exists and `resume` is not given, or it belongs to another recipe.
        ExtuneError: recipe or data are wrong, or the training fails.
    """
    if train is None:
        require_name(recipe.data, "train")  # before a hub is asked for the base
    recipe = recipe.model_copy(update={"base": pin_base(recipe.base)})
    run = RunDir(Path(out) if out is not None else _RUNS / recipe.name)
    given = {"train": train, "dev": dev}
    process = this_process()
    if process.is_first:  # it may have begun to write before the others look
        _require_place(run, recipe, resume)
    seeds = recipe.training.seeds
    if not seeds:
        _train_once(recipe, run, given, resume, console)
        return run
    for seed in seeds:
        one = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": seed, "seeds": ()})})
        part = run.seed_run(seed)
        if process.is_first:
            _require_place(part, one, resume)
        _train_once(one, part, given, resume, console)
        if process.is_first:
            write_text(run.recipe_file, dump_recipe(recipe))
    if process.is_first:
        write_json(run.summary_file, {"name": recipe.name, "seeds": list(seeds)})
    return run


def _require_place(run: RunDir, recipe: Recipe, resume: bool) -> None:
    """Raise where the directory holds something that this training would overwrite."""
    if not run.path.exists() or (run.path.is_dir() and not any(run.path.iterdir())):
        return
    if not resume:
        raise RunError(
            "exists already",
            where=str(run.path),
            expected="a directory that does not exist yet",
            fix="--resume continues or keeps this run, --out DIR makes another",
        )
    if not run.recipe_file.is_file():
        if run.path.is_dir() and all(path.name.startswith("seed-") for path in run.path.iterdir()):
            return
        raise RunError(
            "holds no recipe.yaml, so there is nothing to resume",
            where=str(run.path),
            expected="a directory made by `extune train`",
            fix="--out DIR makes a new run",
        )
    changes = find_changes(run.recipe(), recipe)
    if changes:
        raise RunError(
            "was begun with another recipe: " + "; ".join(changes),
            where=str(run.path),
            expected="the recipe of the run, unchanged",
            fix=f"extune train {run.recipe_file} --out {run.path} --resume, or another --out for the changed recipe",
        )


def _train_once(
    recipe: Recipe, run: RunDir, given: Mapping[str, Sequence[Example] | None], resume: bool, console: Console | None
) -> None:
    if run.is_finished:
        return
    require_trackers(recipe.tracking)
    require_strategy(recipe.parallel)
    started, process = now(), this_process()
    _require_readable(recipe, given["train"])
    dev = _read_dev(recipe, given["dev"])
    device = _device_of(process)
    precision = choose_precision(recipe.base.dtype, recipe.adapter.method, device)
    base = resolve_base(recipe.base.model, recipe.base.revision, recipe.base.endpoint)
    tokenizer = load_tokenizer(base)
    lookup = fit_lookup(recipe, given["train"])
    contract = draft_contract(recipe, base, tokenizer, dtype=precision.weights, base_hash=hash_base(base), lookup=lookup)
    earlier = RunDir(Path(recipe.base.adapter)) if recipe.base.adapter is not None else None
    origin = {"continued_from": earlier.contract().weights_hash} if earlier is not None else {}
    contract = contract.model_copy(update={"quantization": quantization_of(recipe.adapter), **origin})
    training = _encode_train(recipe, given["train"], BatchEncoder(tokenizer, contract, lookup), base)
    chosen = _choose_dev(recipe, dev)
    dev_encoder = _encode_dev(dev, chosen, tokenizer, contract)
    set_seed(recipe.training.seed)  # the fresh adapter's weights are random
    model = start_model(recipe.adapter, base, contract, device, earlier, pieces_of(recipe.parallel))
    predictor = replace(build_predictor(model, tokenizer, contract), encoder=dev_encoder)
    score_dev = _build_score_dev(recipe, model, predictor, chosen) if chosen else None
    setup = _set_up(recipe, run, precision)
    if process.is_first:
        write_text(run.recipe_file, dump_recipe(recipe))
    try:
        result = train_model(model, training.rows, setup, run.path, score_dev=score_dev, resume=resume, console=console)
    except Exception:
        if process.is_first:
            _remove_unbegun(run)
        raise
    finally:
        if process.is_first and run.log.exists():
            draw_curves(run.log, run.curves)
    least = _choose_least(recipe, model, predictor, chosen)
    if not process.is_first:
        help_to_save_weights(model)
        return
    weights = save_weights(model, run.path, recipe.base)
    trained = {"weights": weights, "weights_hash": hash_weights(run.path, weights)}
    contract = contract.model_copy(update=trained | least)
    save_tokenizer(tokenizer, run.path)
    write_manifest(
        run.manifest_file,
        seed=recipe.training.seed,
        device=device,
        started=started,
        splits={"train": training.provenance} | ({"dev": _describe(dev, dev_encoder)} if chosen else {}),
        training=asdict(result) | {"log": result.log.name, "rows": len(training.rows), "rows_reused": training.reused},
    )
    write_contract(run.path, contract)


def _set_up(recipe: Recipe, run: RunDir, precision: Precision) -> TrainingSetup:
    return TrainingSetup(
        recipe.training,
        recipe.selection.model_copy(update={"metric": recipe.metric}),
        precision.autocast,
        loraplus_lr_ratio=getattr(recipe.adapter, "loraplus_lr_ratio", None),
        compiled=recipe.base.compile,
        tracking=_name_for_trackers(recipe.tracking, run),
        parallel=recipe.parallel,
    )


def _choose_dev(recipe: Recipe, dev: _Split) -> tuple[Example, ...]:
    """The dev examples that are scored."""
    if recipe.selection.min_confidence == "auto" and not dev.examples:
        raise RecipeError(
            "is auto, and there is no dev split to choose it on",
            where="selection.min_confidence",
            expected="a number, or a recipe with data.dev or data.split.dev",
            fix="selection.min_confidence=0 leaves nothing out",
        )
    return dev.examples[: recipe.selection.dev_limit]


def _choose_least(
    recipe: Recipe, model: PreTrainedModel | PeftModel, predictor: Predictor, dev: Sequence[Example]
) -> dict[str, float]:
    """The contract's `min_confidence`, where dev decides; the model has its final weights."""
    if recipe.selection.min_confidence != "auto":
        return {}
    predictions = _predict_together(model, predictor, dev)
    return {"min_confidence": choose_min_confidence(recipe.task, dev, predictions, recipe.metric)}


def _name_for_trackers(section: TrackingSection, run: RunDir) -> TrackingSection:
    """The section with a name for this training: the chosen one or the run directory's; of several seeds with the seed."""
    seed = run.path.name if run.path.name.startswith("seed-") else ""
    name = section.run_name or (run.path.parent if seed else run.path).resolve().name
    return section.model_copy(update={"run_name": f"{name}-{seed}" if seed else name})


def _remove_unbegun(run: RunDir) -> None:
    """Free the place of a training that failed before its first checkpoint: there is nothing to resume."""
    if any(run.checkpoints.glob("*")):
        return
    for file in (run.recipe_file, run.log):
        file.unlink(missing_ok=True)
    for folder in (run.checkpoints, run.path):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _device_of(process: Process) -> str:
    device = choose_device(None)
    return f"cuda:{process.local_rank}" if device == "cuda" and process.count > 1 else device


def _encode_train(recipe: Recipe, given: Sequence[Example] | None, encoder: BatchEncoder, base: Path) -> TrainingRows:
    return encode_examples(given, encoder) if given is not None else prepare_rows(recipe, encoder, base)


def _encode_dev(
    dev: _Split, chosen: Sequence[Example], tokenizer: PreTrainedTokenizerBase, contract: Contract
) -> RememberingEncoder:
    """An encoder that has seen all dev prompts, so that one that does not fit is known, and remembers those that are scored."""
    encoder = RememberingEncoder(tokenizer, contract, keep=[example.id for example in share_of(chosen)])
    for example in dev.examples:
        encoder.encode_prompts(example)
    return encoder


def _build_score_dev(
    recipe: Recipe, model: PreTrainedModel | PeftModel, predictor: Predictor, examples: Sequence[Example]
) -> ScoreDev:
    """What training calls to know how good the model is: the same predictor and the same score as afterwards.

    Several processes predict a share each; then all of them score all predictions, so that they choose the same checkpoint.
    """
    for example in examples:
        require_gold(recipe.task, example)  # before the first step
    mine = share_of(examples)
    if recipe.metric == "loss":
        encoder = build_encoder(predictor.encoder.tokenizer, predictor.encoder.contract)  # one that counts for itself
        rows = [row for example in mine for row in encoder.encode_rows(example)]

        def score_loss() -> dict[str, float]:
            with in_lockstep(model):
                own = sum_target_losses(model, rows)
            losses = gather_shares([own], this_process().count)
            mean = sum(loss.total for loss in losses) / sum(loss.tokens for loss in losses)
            return {"loss": mean, "rows": len(examples)}

        return score_loss

    def score() -> dict[str, float]:
        predictions = _predict_together(model, predictor, examples)
        return score_predictions(recipe.task, examples, predictions, resamples=0).dev_figures() | {"rows": len(examples)}

    return score


def _predict_together(
    model: PreTrainedModel | PeftModel, predictor: Predictor, examples: Sequence[Example]
) -> list[Prediction]:
    """All predictions, in every process; each predicts its share."""
    with in_lockstep(model):
        answered = list(predictor.predict_many(share_of(examples)))
    return gather_shares(answered, len(examples))


def _require_readable(recipe: Recipe, given: Sequence[Example] | None) -> None:
    """What is wrong with the training data is known before gigabytes of a base are fetched."""
    if given is not None:
        require_unique_ids(given)
    elif not is_here(recipe.base):
        deque(SplitReading(recipe.data, "train", recipe.task), maxlen=0)


def _read_dev(recipe: Recipe, given: Sequence[Example] | None) -> _Split:
    """The dev split from memory or from its file; without examples where there is none."""
    if given is not None:
        require_unique_ids(given)
        return _Split(tuple(given), None, None, None)
    path = find_split(recipe.data, "dev")
    if path is None:
        return _Split((), None, None, None)
    result = read_split(recipe.data, "dev", recipe.task)
    return _Split(result.examples, name_split(recipe.data, "dev"), path, result)


def _describe(split: _Split, encoder: Encoder) -> SplitProvenance:
    result, report = split.result, encoder.length_report
    return SplitProvenance(
        file=split.file,
        sha256=hash_data(split.path),
        encoding="" if result is None else result.encoding,
        notes=() if result is None else result.notes,
        skipped=0 if result is None else len(result.skipped),
        skipped_rows=() if result is None else list_skips([(row.line, row.reason) for row in result.skipped]),
        dropped=report.dropped,
        windowed=report.windowed,
        shortened=report.shortened,
        **count_examples(encoder, split.examples),
    )
