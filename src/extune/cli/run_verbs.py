"""Verbs that take a run: predict, evaluate, report. Their options cannot touch the contract."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from extune.cli.progress import counting_progress, quiet_libraries
from extune.cli.terminal import note, print_error, print_prediction, print_scores, say
from extune.domain.example import Example
from extune.errors import DataError, RecipeError
from extune.files import require_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extune.engines.engine import DecodingOptions
    from extune.evaluation.score import Score
    from extune.predicting.predictor import Predictor
    from extune.predicting.review_file import Review

Temperature = Annotated[float, typer.Option(help="0: the likeliest token, which copies best.")]
TopP = Annotated[float, typer.Option(help="Sample only from the likeliest tokens with this probability together.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1 hurts verbatim copying.")]
MaxNewTokens = Annotated[int | None, typer.Option(help="Of one answer; by default the run's own budget.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; by default the fastest one here.")]
Prior = Annotated[
    str, typer.Option(help="Of a classification: contextual takes out what the base prefers whatever the text; none.")
]
Seed = Annotated[int, typer.Option(help="Of the sampling.")]
EngineName = Annotated[str, typer.Option(help="What runs the model.")]
Base = Annotated[
    str | None, typer.Option(help="Try this untrained base (`embedded` or a folder) instead of the trained weights.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A directory made by `extune train`.")]


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A directory made by `extune train`; with --base also a recipe.")],
    text: Annotated[str | None, typer.Option(help="One text.")] = None,
    file: Annotated[Path | None, typer.Option(help='Texts: .jsonl with "text", .csv with a column text, .txt by line.')] = None,
    out: Annotated[
        Path | None, typer.Option(help="Predictions of --file: .jsonl, .csv or .txt; continued if it exists.")
    ] = None,
    min_confidence: Annotated[
        str | None,
        typer.Option(help="Only items of at least this confidence go to --out; `auto`: what `extune calibrate` found."),
    ] = None,
    review: Annotated[
        Path | None, typer.Option(help="All other items, with their examples: .jsonl. Alone it means --min-confidence auto.")
    ] = None,
    engine: EngineName = "transformers",
    base: Base = None,
    device: Device = None,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    prior: Prior = "none",
) -> None:
    """Extract from one text, from a file to a file, or, given neither, interactively."""
    if (min_confidence is not None and review is None) or (review is not None and file is None):
        raise RecipeError(
            "--min-confidence and --review part a file in two",
            expected="--file, --out and --review, so that nothing is lost",
            fix="--file IN.jsonl --out OUT.jsonl --min-confidence 0.9 --review REVIEW.jsonl",
        )
    if file is not None and out is None:
        raise RecipeError("--file without --out", expected="a file for the predictions", fix="--out predictions.jsonl")
    if file is not None:
        require_file(file)  # before the model is loaded
    options = _decoding(temperature, top_p, repetition_penalty, max_new_tokens, seed, prior)
    predictor = _open(run, base, engine, device, options)
    if text is not None:
        _predict_text(predictor, text)
    elif file is not None and out is not None:
        _predict_file(predictor, file, out, _choose_review(run, review, min_confidence, predictor))
    else:
        _predict_interactively(predictor)


def evaluate(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A directory made by `extune train`.")] = None,
    split: Annotated[str, typer.Option(help="test, dev, train, or a labelled file.")] = "test",
    pred: Annotated[Path | None, typer.Option(help="Instead of RUN: predictions of any tool.")] = None,
    gold: Annotated[Path | None, typer.Option(help="With --pred: the labelled file.")] = None,
    types: Annotated[str | None, typer.Option(help="With --pred: allowed types, apart by commas; by default all.")] = None,
    train: Annotated[Path | None, typer.Option(help="With --pred: what the tool was trained on, for baselines.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --pred: folder for reports, which `extune compare` reads.")] = None,
    engine: EngineName = "transformers",
    base: Base = None,
    device: Device = None,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    prior: Prior = "none",
) -> None:
    """Predict and score a labelled file; strict F1 with its 95 % interval, and a report."""
    if pred is not None and gold is not None and run is None:
        from extune.stages.score_files import score_files

        result = score_files(pred, gold, types.split(",") if types else None, train=train, out=out)
        _print_assessed(f"{pred} against {gold}", [result.assessment.score], result.assessment.baselines, result.notes)
        if out is not None:
            say(f"wrote {out}")
        return
    if run is None or any(option is not None for option in (pred, gold, types, train, out)):
        raise RecipeError(
            "nothing to evaluate, or too much",
            expected="RUN, or --pred and --gold (and with them --types, --train, --out)",
            fix="extune evaluate runs/NAME",
        )
    quiet_libraries()
    from extune.stages.evaluate import evaluate as evaluate_run

    options = _decoding(temperature, top_p, repetition_penalty, max_new_tokens, seed, prior)
    with counting_progress("predicting") as progress:
        done = evaluate_run(run, split, engine=engine, base=base, device=device, options=options, progress=progress)
    _print_assessed(f"{run}, {done.split}, {done.engine}", done.scores, done.baselines, done.notes)
    for folder in done.folders:
        say(f"wrote {folder}")
    _print_costs(done.seconds, sum(score.documents for score in done.scores))


def report(
    run: RunPath,
    other: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A second run: both on one page.")] = None,
    split: Annotated[str, typer.Option(help="As in `extune evaluate`.")] = "test",
    engine: EngineName = "transformers",
    out: Annotated[Path | None, typer.Option(help="Of two runs: the page; by default FIRST-SECOND.html.")] = None,
) -> None:
    """Write the report of an evaluation again, from its files; of two runs, one page with what changed between them."""
    if other is not None:
        from extune.studies.side_by_side import report_pair

        say(f"wrote {report_pair(run, other, out, split, engine)}")
        return
    if out is not None:
        raise RecipeError("--out without a second run", expected="two runs", fix="extune report runs/A runs/B --out page.html")
    from extune.stages.report import report as write_again

    for folder in write_again(run, split, engine):
        say(f"wrote {folder}")


def _print_assessed(title: str, scores: Sequence[Score], baselines: Mapping[str, Score], notes: Sequence[str]) -> None:
    from extune.evaluation.score import name_figure

    for sentence in notes:
        note(sentence)
    print_scores(title, scores)
    if baselines:
        headline = scores[0].headline
        figures = ", ".join(f"{name} {score.figures()[headline]:.3f}" for name, score in baselines.items())
        note(f"baselines, {name_figure(headline)}: {figures}")


def _decoding(
    temperature: float, top_p: float, repetition_penalty: float, max_new_tokens: int | None, seed: int, prior: str
) -> DecodingOptions:
    from extune.engines.engine import DecodingOptions

    return DecodingOptions(temperature, top_p, repetition_penalty, max_new_tokens, seed, prior)


def _open(run: Path, base: str | None, engine: str, device: str | None, options: DecodingOptions) -> Predictor:
    quiet_libraries()
    from extune.stages.predict import open_predictor

    started = perf_counter()
    predictor = open_predictor(run, base=base, engine=engine, device=device, options=options)
    note(f"loaded in {perf_counter() - started:.1f} s")
    if predictor.calibrate is None and predictor.encoder.task.kind != "generation":
        note(f"confidences are raw, not calibrated: extune calibrate {run}" if base is None else "confidences are raw")
    return predictor


def _choose_review(run: Path, path: Path | None, wanted: str | None, predictor: Predictor) -> Review | None:
    from extune.predicting.review_file import Review
    from extune.stages.predict import AUTO, choose_threshold

    if path is None:
        return None
    return Review(path, choose_threshold(run, AUTO if wanted is None else wanted, predictor))


def _predict_text(predictor: Predictor, text: str) -> None:
    (prediction,) = predictor.predict_many([Example("text", text)])
    print_prediction(text, prediction, predictor.encoder.task.names)


def _predict_file(predictor: Predictor, file: Path, out: Path, review: Review | None) -> None:
    from extune.stages.predict import predict_file

    try:
        with counting_progress("predicting") as progress:
            done = predict_file(predictor, file, out, lambda rows: progress(rows, None), review)
    except KeyboardInterrupt:
        note(f"what is done stands in {out}; the same command goes on from there")
        raise
    kept = f", {done.kept} were there already" if done.kept else ""
    say(f"wrote {done.rows} predictions to {out}{kept}; {done.problem_rows} with problems")
    if review is not None and done.sure is not None and done.unsure is not None:
        say(
            f"kept {done.sure} of {done.sure + done.unsure} items, of confidence {review.least:.4f} or more; "
            f"{done.unsure} to review in {done.review_rows} rows of {review.path}"
        )
    _print_costs(done.seconds, done.rows)


def _predict_interactively(predictor: Predictor) -> None:
    if not sys.stdin.isatty():
        raise RecipeError("neither --text nor --file is given", expected="a text", fix="--text TEXT, or --file IN --out OUT")
    note("one text a line; an empty line ends")
    while text := _ask():
        try:
            _predict_text(predictor, text)
        except DataError as error:  # a text that does not fit; the next one may
            print_error(error)


def _ask() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _print_costs(seconds: float, rows: int) -> None:
    from extune.predicting.memory import peak_gpu_memory, peak_memory

    gpu = f", GPU {peak_gpu_memory() / 2**30:.2f} GiB" if peak_gpu_memory() else ""
    note(f"{rows / max(seconds, 1e-9):.1f} rows/s, peak memory {peak_memory() / 2**30:.2f} GiB{gpu}")
