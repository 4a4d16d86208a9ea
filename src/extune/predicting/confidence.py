"""How sure a model is of annotations that it may not have written itself.

In: examples and annotations of them. Out: the log-probability of each annotation as the answer, under the grammar's masks. Two
annotations of one example can be compared; annotations of different examples cannot, their answers differ in length.
It knows nothing about gold, files and what is done with the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from extune.domain.annotation import Annotation
from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.engines.engine import AnswerScorer
from extune.errors import EngineError
from extune.predicting.open import build_encoder
from extune.predicting.predictor import Predictor
from extune.tokens.encode import EncodedRow, Encoder

_ANSWERS = 512  # that are encoded and scored together


class AnnotationScorer:
    """Scores annotations with a predictor's model, contract and wording.

    Args:
        predictor: whose engine can score answers.

    Raises:
        EngineError: the engine cannot.
    """

    def __init__(self, predictor: Predictor) -> None:
        if not isinstance(predictor.engine, AnswerScorer):
            raise EngineError(
                f"engine {predictor.engine.name} does not tell how probable an answer is",
                where="confidence",
                expected="an engine that computes log-probabilities of given answers",
                fix="--engine transformers",
            )
        self._engine: AnswerScorer = predictor.engine
        contract = predictor.encoder.contract
        # An annotation with one item more than gold may be longer than the budget of an answer; nothing is generated here.
        contract = contract.model_copy(update={"max_answer_tokens": 2 * contract.max_answer_tokens})
        self._encoder = build_encoder(predictor.encoder.tokenizer, contract)

    def can_write(self, example: Example, annotation: Annotation) -> bool:
        """Whether the answer format can hold this annotation of the example."""
        task = self._encoder.task_of(example)
        return self._encoder.answer_format.find_unrepresentable(task, example.text, annotation) is None

    def score(self, questions: Sequence[tuple[Example, Sequence[Annotation]]]) -> list[tuple[float, ...]]:
        """For each example the log-probability of each of its annotations, in nats, stop token included.

        Where the grammar does not allow one of an example's annotations, all of that example are scored without it, so that
        they stay comparable. Of a text that was cut into windows the windows' answers are added; of an example that is dropped
        as too long, every annotation has the log-probability 0.

        Raises:
            FormatError: the answer format cannot hold an annotation; ask `can_write` before.
        """
        rows = [
            [self._encoder.encode_rows(replace(example, gold=annotation)) for annotation in annotations]
            for example, annotations in questions
        ]
        prompts = [
            [_prompt(self._encoder, example, row) for answers in one for row in answers]
            for (example, _), one in zip(questions, rows, strict=True)
        ]
        flat_rows = [row for one in rows for answers in one for row in answers]
        flat = iter(self._score_rows(flat_rows, [prompt for one in prompts for prompt in one]))
        results = []
        for one, asked in zip(rows, prompts, strict=True):
            found = [next(flat) for _ in asked]
            if None in found:
                free = [replace(prompt, grammar=None) for prompt in asked]
                found = self._score_rows([row for answers in one for row in answers], free)
            logprobs = iter(found)
            results.append(tuple(math.fsum(next(logprobs) or 0.0 for _ in answers) for answers in one))
        return results

    def _score_rows(self, rows: Sequence[EncodedRow], prompts: Sequence[Prompt]) -> list[float | None]:
        """The log-probability of each row's answer; None where the grammar does not allow it."""
        results: list[float | None] = []
        for start in range(0, len(rows), _ANSWERS):
            part = rows[start : start + _ANSWERS]
            answers = [row.ids[row.prompt_length :] for row in part]
            scored = self._engine.score_answers(prompts[start : start + _ANSWERS], answers)
            results += [None if logprobs is None else math.fsum(logprobs) for logprobs in scored]
        return results


def _prompt(encoder: Encoder, example: Example, row: EncodedRow) -> Prompt:
    """The prompt of a row, with the grammar that answers to it obey; its messages are not needed."""
    grammar = None
    if encoder.contract.constrain:
        grammar = encoder.answer_format.render_grammar(encoder.task_of(example), row.text)
    return Prompt(example.id, (), row.ids[: row.prompt_length], row.text, row.offset, grammar)
