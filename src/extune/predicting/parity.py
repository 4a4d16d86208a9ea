"""Whether two ways to run one model answer alike: completions side by side, and how close a call each difference was.

In: predictors and examples. Out: what each wrote, the rows that flipped, their margins. It knows nothing about gold and files.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from extune.domain.example import Example
from extune.domain.prediction import Completion, Prediction
from extune.domain.prompt import Prompt
from extune.engines.engine import AnswerScorer, ClosableEngine, DecodingOptions, Engine
from extune.errors import RunError
from extune.predicting.predictor import Predictor

_CHUNK = 256  # rows between two movements of a progress bar


@dataclass(frozen=True)
class Answers:
    """What one engine made of all examples.

    Attributes:
        prompts: one of each window of each example, in order.
        completions: one of each prompt.
        predictions: one of each example.
        seconds: of encoding, decoding and reading, without loading.
    """

    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]
    predictions: tuple[Prediction, ...]
    seconds: float


@dataclass(frozen=True)
class Flip:
    """A prompt that two engines answered differently.

    Attributes:
        prompt: its number.
        example_id: whose (window of the) text is asked about.
        first, second: what they wrote.
        place: number of the first token that differs, counted from 0; None where token ids are not known.
        margin: log-probability of the first's token there minus that of the second's, both in the eyes of the first and under
            the grammar; of weighed labels that of the whole labels; 0 is a tie, None is unknown.
    """

    prompt: int
    example_id: str
    first: str
    second: str
    place: int | None
    margin: float | None = None


def collect_answers(
    predictor: Predictor, examples: Sequence[Example], progress: Callable[[int], None] | None = None
) -> Answers:
    """Predict all examples, greedily; `progress` is told the rows that were done since it was told last."""
    asked = Predictor(predictor.encoder, predictor.engine, DecodingOptions())
    started = perf_counter()
    prompts: list[Prompt] = []
    completions: list[Completion] = []
    predictions = []
    for completed in asked.complete_many(examples, chunk=_CHUNK):
        prompts += completed.prompts
        completions += completed.completions
        predictions.append(asked.read(*completed))
        if progress is not None:
            progress(1)
    seconds = perf_counter() - started
    return Answers(tuple(prompts), tuple(completions), tuple(predictions), seconds)


def require_same_prompts(first: Answers, second: Answers, names: tuple[str, str]) -> None:
    """Raise a RunError where the two were not asked the same ids under the same grammar: nothing could be compared then."""
    for one, other in zip(first.prompts, second.prompts, strict=False):
        if (one.ids, one.grammar) != (other.ids, other.grammar):
            raise _differs(names, f"example {one.example_id!r} is rendered differently")
    if len(first.prompts) != len(second.prompts):
        raise _differs(names, f"{len(first.prompts)} prompts against {len(second.prompts)}")


def find_flips(first: Answers, second: Answers) -> list[Flip]:
    """The prompts whose completions differ in text or in how they ended; of written ones the margins are not known yet."""
    flips = []
    for number, (prompt, one, other) in enumerate(zip(first.prompts, first.completions, second.completions, strict=True)):
        if (one.text, one.finish) != (other.text, other.finish):
            place = _first_difference(one.token_ids, other.token_ids)
            flips.append(Flip(number, prompt.example_id, one.text, other.text, place, _compare_labels(one, other)))
    return flips


def measure_margins(engine: Engine, first: Answers, second: Answers, flips: Sequence[Flip]) -> list[Flip]:
    """The flips with their margins, as far as `engine`, which wrote the first answers, can score given answers."""
    if not isinstance(engine, AnswerScorer):
        return list(flips)
    known = [flip for flip in flips if flip.place is not None]
    prompts = [first.prompts[flip.prompt] for flip in known]
    scores = []
    for answers in (first, second):
        beginnings = [(answers.completions[flip.prompt].token_ids or ())[: (flip.place or 0) + 1] for flip in known]
        scores.append(engine.score_answers(prompts, beginnings) if known else [])
    margins = {
        flip.prompt: one[-1] - other[-1]
        for flip, one, other in zip(known, *scores, strict=True)
        if one is not None and other is not None
    }
    return [replace(flip, margin=margins.get(flip.prompt, flip.margin)) for flip in flips]


def release(predictor: Predictor) -> None:
    """End what the predictor's engine has started; a model in this process goes with its last reference."""
    if isinstance(predictor.engine, ClosableEngine):
        predictor.engine.close()


def _first_difference(first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> int | None:
    """Where both have a token and it differs; None where one is unknown or the beginning of the other."""
    if first is None or second is None:
        return None
    return next((place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), None)


def _compare_labels(first: Completion, second: Completion) -> float | None:
    """By how much the first holds its label for likelier than the second's (log-probability); None where none were weighed."""
    weights, others = first.probabilities, second.probabilities
    if not weights or not others:
        return None
    own, other = max(weights, key=weights.__getitem__), max(others, key=others.__getitem__)
    return math.log(weights[own]) - math.log(max(weights[other], sys.float_info.min))


def _differs(names: tuple[str, str], what: str) -> RunError:
    return RunError(
        f"{names[0]} and {names[1]} are not asked the same: {what}",
        where="parity",
        expected="variants of one run: equal task, format, template, budgets and tokenizer",
        fix="make the variant again from this run (extune merge)",
    )
