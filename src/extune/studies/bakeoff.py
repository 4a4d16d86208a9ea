"""`extune bakeoff`: which answer format suits this data.

In: a recipe. Out: for each format that the task allows, a short training with the same number of optimizer steps on the same
examples, its dev F1, tokens and speeds; and a proposal. All of it is one seed: the intervals are about the dev documents.

The proposal is the format with the best F1, unless a cheaper one (fewer tokens to answer) is so near that the paired interval
of the difference holds 0.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from extune.data.splits import read_split
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.errors import FormatError, RecipeError
from extune.evaluation.metrics import count_documents
from extune.evaluation.scoring import require_kind
from extune.evaluation.significance import bootstrap_interval, compare_f1
from extune.files import write_json
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.look_up import fit_lookup
from extune.predicting.open import build_encoder
from extune.recipe.sections import Recipe
from extune.runs.run_dir import RunDir
from extune.stages.evaluate import Scored, score_examples
from extune.studies.trainings import (
    PlannedTraining,
    Tell,
    begin_study,
    carry_out,
    require_dev,
    train_and_open,
    with_seed,
)

STEPS = 200
_STUDIES = Path("studies")
_ROOM = 1.25  # answers of dev may be longer than any that was seen; a budget that is never reached costs nothing
_ANY_LENGTH = 1 << 30


@dataclass(frozen=True)
class Trial:
    """What one training measured.

    Attributes:
        counts: (true positives, false positives, false negatives) of each dev document, strict.
        training_speed: rows a second, median of the log's lines; `prediction_speed` of the dev set.
    """

    counts: tuple[tuple[float, float, float], ...]
    training_speed: float
    prediction_speed: float


MeasureTrial = Callable[[PlannedTraining, Path], Trial]


@dataclass(frozen=True)
class Tokens:
    """Tokens of one format: means over all training and dev rows, and the longest answer."""

    prompt: float
    answer: float
    longest_answer: int


@dataclass(frozen=True)
class Contender:
    """One format in the table.

    Attributes:
        interval: 95 % document bootstrap of F1.
        difference: to the best F1, with its paired 95 % interval; zeros for the best itself.
    """

    name: str
    f1: float
    interval: tuple[float, float]
    difference: tuple[float, float, float]
    tokens: Tokens
    training_speed: float
    prediction_speed: float

    @property
    def is_near_the_best(self) -> bool:
        """Whether this dev set does not show that the best is better."""
        return self.difference[2] >= 0


@dataclass(frozen=True)
class Bakeoff:
    """The table, the best F1 first; why other formats are not in it; the proposal and its reason."""

    contenders: tuple[Contender, ...]
    excluded: Mapping[str, str]
    steps: int
    dev: int
    winner: str
    reason: str
    file: Path

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "steps": self.steps,
            "dev_examples": self.dev,
            "winner": self.winner,
            "reason": self.reason,
            "formats": [asdict(one) for one in self.contenders],
            "excluded": dict(self.excluded),
        }


def bakeoff(
    recipe: Recipe,
    out: Path | None = None,
    *,
    steps: int = STEPS,
    tell: Tell = lambda _: None,
    console: Console | None = None,
    measure: MeasureTrial | None = None,
) -> Bakeoff:
    """Train the recipe in every answer format and compare.

    Args:
        recipe: whose `prompt.format` is replaced; budgets of answers grow to what a format needs.
        out: the study's folder; None: `studies/` and the recipe's name. An interrupted study goes on there.
        steps: optimizer steps of each training; the last weights are scored.
        tell: is told the plan and how far it is.
        console: shows the progress of trainings.
        measure: trains and predicts the dev set; None: `extune train` and `extune evaluate`.

    Raises:
        RecipeError: the task has one format only, there is no dev set, or fewer than two formats can hold the data.
        RunError: the folder holds something else.
    """
    formats = recipe.task.answer_formats
    if len(formats) < 2:
        raise RecipeError(
            f"extune bakeoff compares answer formats, and this {recipe.task.kind} has one only: {formats[0]}",
            where=f"task.kind: {recipe.task.kind}",
            expected="extraction",
            fix="extune curve tells what more data would bring",
        )
    out = out or _STUDIES / f"{recipe.name}-bakeoff"
    dev = require_dev(recipe, "bakeoff")
    examples = read_split(recipe.data, "train", recipe.task).examples
    tokens, excluded = measure_tokens(recipe, (*examples, *dev))
    if len(tokens) < 2:
        raise RecipeError(
            "fewer than two answer formats can hold this data: " + "; ".join(f"{k}: {v}" for k, v in excluded.items()),
            where="prompt.format",
            expected="two formats or more to compare",
            fix=f"train with prompt.format={next(iter(tokens), formats[0])}",
        )
    plan = [PlannedTraining(name, _in_format(recipe, name, found, steps), examples, dev) for name, found in tokens.items()]
    begin_study(out, "bakeoff", recipe, {"steps": steps}, [*examples, *dev])
    tell(f"plan: {len(plan)} trainings of {steps} steps, one for each of {', '.join(tokens)}; in {out}")
    for name, why in excluded.items():
        tell(f"left out: {name}: {why}")
    chosen = measure or (lambda planned, run: _measure(planned, run, console))
    results = carry_out(plan, out, lambda planned, run: asdict(chosen(planned, run)), tell)
    trials = {name: Trial(**result) for name, result in results.items()}
    done = _judge(tokens, trials, excluded, steps, out / "bakeoff.json")
    write_json(done.file, done.to_json())
    return done


def measure_tokens(recipe: Recipe, examples: Sequence[Example]) -> tuple[dict[str, Tokens], dict[str, str]]:
    """Tokens of the examples in every format of the task; and of the formats that cannot be used, why."""
    base = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(base)
    lookup = fit_lookup(recipe)
    tokens: dict[str, Tokens] = {}
    excluded: dict[str, str] = {}
    for name in recipe.task.answer_formats:
        prompt = recipe.prompt.model_copy(update={"format": name})
        contract = draft_contract(recipe.model_copy(update={"prompt": prompt}), base, tokenizer, lookup=lookup)
        encoder = build_encoder(tokenizer, contract.model_copy(update={"max_answer_tokens": _ANY_LENGTH}))
        try:
            rows = [row for example in examples for row in encoder.encode_rows(example)]
            answers = [len(row.ids) - row.prompt_length for row in rows]
            found = Tokens(statistics.fmean(row.prompt_length for row in rows), statistics.fmean(answers), max(answers))
            draft_contract(
                _in_format(recipe, name, found, 1), base, tokenizer, lookup=lookup
            )  # refuses budgets beyond the base's positions
        except (FormatError, RecipeError) as error:
            excluded[name] = f"{error.where}: {error.what}"
        else:
            tokens[name] = found
    return tokens, excluded


def _in_format(recipe: Recipe, name: str, tokens: Tokens, steps: int) -> Recipe:
    """The recipe of one trial: the same optimizer steps, no dev scores on the way, room for the format's answers."""
    budget = max(recipe.prompt.max_answer_tokens, math.ceil(tokens.longest_answer * _ROOM))
    one = with_seed(recipe, (recipe.training.seeds or (recipe.training.seed,))[0])
    return one.model_copy(
        update={
            "prompt": recipe.prompt.model_copy(update={"format": name, "max_answer_tokens": budget}),
            "training": one.training.model_copy(update={"max_steps": steps}),
            "data": recipe.data.model_copy(update={"dev": None, "split": None}),
        }
    )


def _measure(planned: PlannedTraining, run: Path, console: Console | None) -> Trial:
    scored = score_examples(train_and_open(planned, run, console), planned.asked)
    speed = len(scored.examples) / max(scored.seconds, 1e-9)
    return Trial(_count(scored), read_training_speed(RunDir(run).log), speed)


def _count(scored: Scored) -> tuple[tuple[float, float, float], ...]:
    gold = {example.id: example.gold for example in scored.examples if example.gold is not None}
    predicted = {one.example_id: one.annotation for one in scored.predictions}
    problems = {one.example_id: one.problems for one in scored.predictions}
    documents = count_documents(require_kind(Extraction, gold), require_kind(Extraction, predicted), problems)
    return tuple((one.strict.tp, one.strict.fp, one.strict.fn) for one in documents)


def read_training_speed(log: Path) -> float:
    """Median of the rows a second that a training's log has, in which scoring and saving do not count."""
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    return float(statistics.median(line["rows_per_second"] for line in lines if "rows_per_second" in line))


def _judge(
    tokens: Mapping[str, Tokens], trials: Mapping[str, Trial], excluded: Mapping[str, str], steps: int, file: Path
) -> Bakeoff:
    counts = {name: np.asarray(trial.counts, dtype=np.float64)[:, None] for name, trial in trials.items()}
    scores = {name: compare_f1(one, one)[0].first for name, one in counts.items()}
    best = max(scores, key=lambda name: (scores[name], -tokens[name].answer))
    contenders = []
    for name, trial in sorted(trials.items(), key=lambda pair: -scores[pair[0]]):
        found = compare_f1(counts[best], counts[name])[0]
        contenders.append(
            Contender(
                name=name,
                f1=scores[name],
                interval=bootstrap_interval(trial.counts),
                difference=(found.difference, found.low, found.high),
                tokens=tokens[name],
                training_speed=trial.training_speed,
                prediction_speed=trial.prediction_speed,
            )
        )
    near = [one for one in contenders if one.is_near_the_best]
    winner = min(near, key=lambda one: one.tokens.answer)
    return Bakeoff(tuple(contenders), excluded, steps, len(counts[best]), winner.name, _explain(winner, best, near), file)


def _explain(winner: Contender, best: str, near: Sequence[Contender]) -> str:
    others = [one for one in near if one.name != winner.name]
    if winner.name != best:
        _, low, high = winner.difference
        return (
            f"{best} has the best F1, but the paired interval of the difference [{low:+.3f}, {high:+.3f}] holds 0, and "
            f"{winner.name} answers with {winner.tokens.answer:.1f} tokens a row"
        )
    if others:
        names = ", ".join(one.name for one in others)
        return f"the best F1; {names} cannot be told from it on this dev set, but answer with more tokens"
    return "its F1 is better than that of every other format; no paired interval holds 0"
