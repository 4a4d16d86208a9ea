"""`extune audit`: which labels of the training set are probably wrong.

In: a recipe. Out: every disagreement between a label and a model that was not trained on it, ranked, and files for review.

The training set is cut into folds. A model is trained on all but one and predicts that one, until every example was predicted
by a model that never saw it. A disagreement is ranked by the model's confidence: how probable the answer is that is gold with
this one point changed to the model's, where it and the gold answer are all there is to choose from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from extune.data.checks import require_unique_ids
from extune.data.folds import assign_folds
from extune.data.readers.own_rows import write_annotation
from extune.data.splits import read_split
from extune.data.writers import write_rows
from extune.domain.annotation import Annotation, Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.errors import DataError
from extune.evaluation.score import name_figure
from extune.evaluation.scoring import require_gold, score_predictions
from extune.files import write_json
from extune.predicting.confidence import AnnotationScorer
from extune.predicting.predictor import Predictor
from extune.recipe.sections import Recipe
from extune.studies.disagreements import UNANSWERED, Disagreement, count_items, find_disagreements, require_comparable
from extune.studies.review_files import ReviewTask, write_doccano, write_label_studio
from extune.studies.trainings import PlannedTraining, Tell, begin_study, carry_out, train_and_open, with_seed

_STUDIES = Path("studies")


class Judge(Protocol):
    """A model that was not trained on the examples it is asked about."""

    def predict_many(self, examples: Iterable[Example]) -> Iterable[Prediction]:
        """A prediction for each example, in order."""

    def can_write(self, example: Example, annotation: Annotation) -> bool:
        """Whether an answer can hold this annotation."""

    def score(self, questions: Sequence[tuple[Example, Sequence[Annotation]]]) -> Sequence[Sequence[float]]:
        """Log-probability of each annotation of each example."""


OpenJudge = Callable[[PlannedTraining, Path], Judge]


class ModelJudge:
    """A trained model as judge."""

    def __init__(self, predictor: Predictor) -> None:
        self._scorer = AnnotationScorer(predictor)
        self.predict_many = predictor.predict_many
        self.can_write = self._scorer.can_write
        self.score = self._scorer.score


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        findings: all disagreements, the most suspicious label first: `rank`, `confidence` (probability of the model's side,
            None where it could not be computed), `kind`, `gold`, `predicted`, `id`, `source`, `text`, `compared` (`item`, or
            `answer` where the answer format cannot hold gold with this one point changed: then whole answers were compared).
        labels: that were looked at.
        figure: name and value of the score of the predictions against gold, over all folds.
        unanswered: ids of the examples whose text did not fit or whose answer was cut off or could not be read.
        files: that were written.
    """

    findings: tuple[Mapping[str, Any], ...]
    labels: int
    figure: tuple[str, float]
    unanswered: tuple[str, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """All but the findings themselves, which have a file of their own."""
        return {
            "labels": self.labels,
            "disagreements": len(self.findings),
            "kinds": dict(Counter(finding["kind"] for finding in self.findings).most_common()),
            "score": {"name": self.figure[0], "value": self.figure[1]},
            "unanswered": list(self.unanswered),
        }


def audit(
    recipe: Recipe,
    out: Path | None = None,
    *,
    folds: int = 3,
    tell: Tell = lambda _: None,
    console: Console | None = None,
    open_judge: OpenJudge | None = None,
) -> Audit:
    """Look for wrong labels in the training set of a recipe.

    Args:
        recipe: trained once for each fold.
        out: the study's folder; None: `studies/` and the recipe's name. An interrupted audit goes on there.
        folds: into which the training set is cut, by the hash of ids (or of `data.split.by`).
        tell: is told the plan and how far it is.
        console: shows the progress of trainings.
        open_judge: trains on a fold's examples and opens the model; None: `extune train`.

    Raises:
        RecipeError: the task has no labels that can be compared.
        DataError: a fold would be empty.
        RunError: the folder holds something else.
    """
    require_comparable(recipe.task)
    out = out or _STUDIES / f"{recipe.name}-audit"
    recipe = with_seed(recipe, (recipe.training.seeds or (recipe.training.seed,))[0])
    result = read_split(recipe.data, "train", recipe.task)
    require_unique_ids(result.examples)
    for example in result.examples:
        require_gold(recipe.task, example)
    plan = _plan(recipe, result.examples, assign_folds(result.examples, result.groups, folds, recipe.training.seed), folds)
    begin_study(out, "audit", recipe, {"folds": folds}, result.examples)
    tell(f"plan: {folds} trainings, each on {1 - 1 / folds:.0%} of {len(result.examples)} examples; in {out}")
    opened = open_judge or (lambda planned, run: ModelJudge(train_and_open(planned, run, console)))
    results = carry_out(plan, out, lambda planned, run: _measure(planned, opened(planned, run)), tell)
    return _summarize(recipe, out, result.examples, list(results.values()))


def _plan(recipe: Recipe, examples: Sequence[Example], parts: Sequence[int], folds: int) -> list[PlannedTraining]:
    plan = []
    for fold in range(folds):
        rest = tuple(example for example, part in zip(examples, parts, strict=True) if part != fold)
        held_out = tuple(example for example, part in zip(examples, parts, strict=True) if part == fold)
        if not rest or not held_out:
            raise DataError(
                f"{len(examples)} examples in {len(set(parts))} of {folds} folds: fold {fold + 1} would have nothing to "
                + ("predict" if rest else "train on"),
                where="--folds",
                expected="examples in every fold",
                fix="fewer --folds, or more examples",
            )
        plan.append(PlannedTraining(f"fold-{fold + 1}", recipe, rest, held_out))
    return plan


def _measure(planned: PlannedTraining, judge: Judge) -> dict[str, Any]:
    """The predictions of one fold and their disagreements with gold, ready for JSON."""
    task = planned.recipe.task
    predictions = list(judge.predict_many(planned.asked))
    found = [
        (example, prediction, find_disagreements(task, example, prediction))
        for example, prediction in zip(planned.asked, predictions, strict=True)
    ]
    doubtful = [one for one in found if one[2]]
    # position 0 is gold; an alternative that cannot be written is replaced by the model's whole answer, or left out
    alternatives = [_alternatives(judge, *one) for one in doubtful]
    scores = judge.score(
        [
            (one[0], [annotation for annotation in given if annotation is not None])
            for one, given in zip(doubtful, alternatives, strict=True)
        ]
    )
    findings = []
    for (example, _, disagreements), given, logprobs in zip(doubtful, alternatives, scores, strict=True):
        gold, *rest = logprobs
        remaining = iter(rest)
        for disagreement, alternative in zip(disagreements, given[1:], strict=True):
            odds = None if alternative is None else next(remaining) - gold
            findings.append(_finding(example, disagreement, alternative, odds))
    return {
        "findings": findings,
        "predictions": {one.example_id: write_annotation(one.annotation) for one in predictions},
        "unanswered": [one.example_id for one in predictions if _is_unanswered(one)],
        "score": _headline(planned, predictions),
    }


def _alternatives(
    judge: Judge, example: Example, prediction: Prediction, disagreements: Sequence[Disagreement]
) -> list[Annotation | None]:
    """Gold, and for each disagreement what is held against it; None where the answer format can hold neither."""
    answer = prediction.annotation
    whole = Extraction(answer.spans) if isinstance(answer, Extraction) else answer
    choices = [next((one for one in (each.corrected, whole) if judge.can_write(example, one)), None) for each in disagreements]
    if example.gold is None:
        raise ValueError("an audit needs gold")
    return [example.gold, *choices]


def _finding(
    example: Example, disagreement: Disagreement, alternative: Annotation | None, odds: float | None
) -> dict[str, Any]:
    return {
        "log_odds": odds,
        "confidence": None if odds is None else _logistic(odds),
        "kind": disagreement.kind,
        "gold": disagreement.gold,
        "predicted": disagreement.predicted,
        "compared": None if alternative is None else "item" if alternative is disagreement.corrected else "answer",
        "id": example.id,
        "source": str(example.source or ""),
        "text": example.text,
    }


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))


def _is_unanswered(prediction: Prediction) -> bool:
    return any(problem.kind in UNANSWERED for problem in prediction.problems)


def _headline(planned: PlannedTraining, predictions: Sequence[Prediction]) -> dict[str, Any]:
    score = score_predictions(planned.recipe.task, planned.asked, predictions, resamples=0)
    return {"name": name_figure(score.headline), "value": score.figures()[score.headline], "examples": score.documents}


def _summarize(recipe: Recipe, out: Path, examples: Sequence[Example], results: Sequence[Mapping[str, Any]]) -> Audit:
    """Rank all disagreements and write the files."""
    found = [finding for result in results for finding in result["findings"]]
    order = sorted(found, key=lambda finding: -math.inf if finding["log_odds"] is None else finding["log_odds"], reverse=True)
    ranked = [{"rank": rank, **finding} for rank, finding in enumerate(order, 1)]
    predictions = {example_id: row for result in results for example_id, row in result["predictions"].items()}
    tasks = _build_tasks(examples, predictions, ranked)
    write_rows(out / "disagreements.jsonl", ranked)
    written = write_label_studio(out, recipe.task, tasks, f"{recipe.name} audit")
    scores = [result["score"] for result in results]
    mean = math.fsum(score["value"] * score["examples"] for score in scores) / len(examples)
    done = Audit(
        findings=tuple(ranked),
        labels=sum(count_items(recipe.task, example.gold) for example in examples),
        figure=(scores[0]["name"], mean),
        unanswered=tuple(example_id for result in results for example_id in result["unanswered"]),
        files=(out / "disagreements.jsonl", *written, write_doccano(out, tasks), out / "audit.json"),
    )
    write_json(out / "audit.json", done.to_json())
    return done


def _build_tasks(
    examples: Sequence[Example], predictions: Mapping[str, Mapping[str, Any]], ranked: Sequence[Mapping[str, Any]]
) -> list[ReviewTask]:
    """The examples with disagreements, in the order of their first one."""
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for finding in ranked:
        by_id.setdefault(finding["id"], []).append(
            {key: finding[key] for key in ("rank", "confidence", "kind", "gold", "predicted")}
        )
    known = {example.id: example for example in examples}
    return [
        ReviewTask(
            known[example_id],
            write_annotation(gold) if (gold := known[example_id].gold) is not None else {},
            predictions[example_id],
            findings,
            findings[0]["confidence"],
        )
        for example_id, findings in by_id.items()
    ]
