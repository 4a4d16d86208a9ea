"""A classification is answered by weighing all of its labels instead of writing one.

In: examples of a task that takes one label, and their prompts. Out: the likeliest label of each as a completion, with the
probability of every label that could be chosen. A label's weight is the model's probability of its whole answer, stop token
included; the weights are normalised over the labels. It knows nothing about gold and of the model only the engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from extune.domain.annotation import Labels
from extune.domain.example import Example
from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask
from extune.engines.engine import CandidateScorer, DecodingOptions, Engine
from extune.errors import RecipeError
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import AnswerEncoder

_CONTENT_FREE = ("无", "N/A", "[MASK]")  # texts that belong to no label; the last two are those of Zhao et al. 2021


class LabelChooser:
    """Weighs labels with an engine that scores candidates.

    Args:
        encoder: of a classification that takes one label.
        engine: scores candidates.
        prior: see `DecodingOptions`.
    """

    def __init__(self, encoder: Encoder, engine: CandidateScorer, prior: str = "none") -> None:
        self._encoder = encoder
        self._engine = engine
        self._prior = prior
        self._answers = AnswerEncoder(encoder.tokenizer)
        self._ids: dict[str, tuple[int, ...]] = {}
        # texts of one character fit, and do not belong into the first encoder's report on lengths
        self._content_free = Encoder(encoder.tokenizer, encoder.contract.model_copy(update={"on_too_long": "error"}))

    def choose(self, asked: Sequence[tuple[Example, Prompt]]) -> list[Completion]:
        """The likeliest label of each example; of equally likely ones the first.

        Raises:
            EngineError: the engine cannot compute them.
        """
        weights = self._weigh(asked)
        if self._prior == "contextual":
            weights = self._correct(asked, weights)
        completions = []
        for (example, prompt), found in zip(asked, weights, strict=True):
            best = max(found, key=found.__getitem__)
            text = self._render(example, prompt.text, best)
            completions.append(Completion(text, "stop", len(self._encode(text)), probabilities=found))
        return completions

    def _weigh(self, asked: Sequence[tuple[Example, Prompt]]) -> list[dict[str, float]]:
        """Of each prompt the probability of every label, in the order of the task or of the example's candidates."""
        names = [self._encoder.task_of(example).names for example, _ in asked]
        candidates = [
            [self._encode(self._render(example, prompt.text, name)) for name in own]
            for (example, prompt), own in zip(asked, names, strict=True)
        ]
        scored = self._engine.score_candidates([prompt for _, prompt in asked], candidates)
        return [dict(zip(own, _normalize(logprobs), strict=True)) for own, logprobs in zip(names, scored, strict=True)]

    def _correct(self, asked: Sequence[tuple[Example, Prompt]], weights: Sequence[dict[str, float]]) -> list[dict[str, float]]:
        """Contextual calibration (Zhao et al. 2021, arXiv:2102.09690): divided by what texts without content get."""
        empty: dict[tuple[int, ...], tuple[Example, Prompt]] = {}
        keys = []
        for example, _ in asked:
            one = [replace(example, text=text) for text in _CONTENT_FREE]
            pairs = [(other, prompt) for other in one for prompt in self._content_free.encode_prompts(other)]
            empty |= {prompt.ids: (other, prompt) for other, prompt in pairs}
            keys.append([prompt.ids for _, prompt in pairs])
        priors = dict(zip(empty, self._weigh(list(empty.values())), strict=True))
        corrected = []
        for found, own in zip(weights, keys, strict=True):
            mean = {name: math.fsum(priors[key][name] for key in own) / len(own) for name in found}
            ratios = [_log(found[name]) - _log(mean[name]) for name in found]
            corrected.append(dict(zip(found, _normalize(ratios), strict=True)))
        return corrected

    def _render(self, example: Example, text: str, name: str) -> str:
        return self._encoder.answer_format.render_target(self._encoder.task_of(example), text, Labels((name,)))

    def _encode(self, answer: str) -> tuple[int, ...]:
        if answer not in self._ids:  # rows share their labels
            self._ids[answer] = (*self._answers.encode(answer), self._encoder.contract.stop_token_ids[0])
        return self._ids[answer]


def choose_labels(encoder: Encoder, engine: Engine, options: DecodingOptions) -> LabelChooser | None:
    """What answers instead of decoding, or None where the answer is to be written token by token.

    Labels are weighed where one is to be chosen, the contract allows nothing else, decoding is greedy and unlimited, and the
    engine can: greedy decoding only guesses at the likeliest label then.

    Raises:
        RecipeError: a prior is to be corrected where labels are not weighed.
    """
    task, contract = encoder.task, encoder.contract
    greedy = replace(options, prior="none", seed=DecodingOptions.seed) == DecodingOptions()
    takes_one = isinstance(task, ClassificationTask) and not task.multi_label
    if takes_one and contract.constrain and greedy and isinstance(engine, CandidateScorer):
        return LabelChooser(encoder, engine, options.prior)
    if options.prior != "none":
        raise RecipeError(
            f"prior {options.prior} corrects probabilities of labels, which are not computed here",
            where="--prior",
            expected="a classification of one label, constrained and greedy, with an engine that scores candidates",
            fix="--prior none",
        )
    return None


def _normalize(logprobs: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1."""
    most = max(logprobs)
    weights = [math.exp(logprob - most) for logprob in logprobs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-300))  # one that was too small for a float
