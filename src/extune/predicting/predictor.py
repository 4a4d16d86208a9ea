"""One path from text to prediction for batch, server, training's dev scoring and tests.

In: examples. Out: predictions in the same order. It knows nothing about files, and of the model only the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from extune.data.field_windows import merge_fields
from extune.data.windows import Window, merge_windows
from extune.domain.annotation import Annotation, Extraction, Fields
from extune.domain.example import Example
from extune.domain.prediction import Completion, Prediction, Problem, ProblemKind
from extune.domain.prompt import Prompt
from extune.domain.task import GenerationTask, Task
from extune.engines.engine import DecodingOptions, Engine
from extune.predicting.item_confidence import score_items
from extune.predicting.label_choice import choose_labels
from extune.predicting.sure import leave_out, map_confidences
from extune.prompts.formats.base import QUOTED_CHARACTERS
from extune.prompts.reading import empty_annotation, read_completion
from extune.tokens.encode import Encoder

_CHUNK = 1024
_WINDOW_SEPARATOR = "\f"
_Reading = tuple[Annotation, tuple[Problem, ...]]


class Completed(NamedTuple):
    """An example, a prompt for each of its windows (none where it was dropped for its length), and the answer to each."""

    example: Example
    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]


@dataclass(frozen=True)
class Predictor:
    """Encodes, completes, parses and aligns.

    Attributes:
        encoder: obeys the contract.
        engine: any; its answers are read in the same way.
        options: how tokens are chosen; written into every prediction.
        calibrate: from the raw confidence of an item to how often such items are right; None leaves confidences raw. It
            changes no answer.
        min_confidence: raw, of the items that are not left out; None: the contract's.
    """

    encoder: Encoder
    engine: Engine
    options: DecodingOptions = field(default_factory=DecodingOptions)
    calibrate: Callable[[float], float] | None = None
    min_confidence: float | None = None

    def predict(self, text: str) -> Annotation:
        """What the model says of one text: an `Extraction`, `Fields`, `Labels` or an `Answer`, by the kind of the task.

        Raises:
            DataError: the text does not fit and the contract says that this is an error, or the task needs candidates, which
                only examples have.
        """
        (prediction,) = self.predict_many([Example(id="text", text=text)])
        return prediction.annotation

    def predict_many(self, examples: Iterable[Example], chunk: int = _CHUNK) -> Iterator[Prediction]:
        """A prediction for every example, in input order, each example exactly once.

        Args:
            examples: may be a stream; gold annotations are not looked at.
            chunk: examples that are read and completed together.

        Raises:
            DataError: a text does not fit and the contract says that this is an error.
            RecipeError: `options.prior` corrects what is not computed here.
        """
        for example, prompts, completions in self.complete_many(examples, chunk):
            yield self.read(example, prompts, completions)

    def complete_many(self, examples: Iterable[Example], chunk: int = _CHUNK) -> Iterator[Completed]:
        """What is asked and answered about every example; arguments, order and errors are those of `predict_many`."""
        stream = iter(examples)
        while batch := list(islice(stream, chunk)):
            prompts = [self.encoder.encode_prompts(example) for example in batch]
            completions = self._complete([(one, prompt) for one, group in zip(batch, prompts, strict=True) for prompt in group])
            if len(completions) != sum(map(len, prompts)):
                raise RuntimeError(f"engine {self.engine.name} returned {len(completions)} completions, not one per prompt")
            rest = iter(completions)
            for example, group in zip(batch, prompts, strict=True):
                yield Completed(example, tuple(group), tuple(islice(rest, len(group))))

    def read(self, example: Example, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Prediction:
        """What the completions of one example say: parsed, aligned, merged over windows."""
        if not prompts:
            budget = self.encoder.contract.max_input_tokens
            problem = Problem(ProblemKind.TOO_LONG, f"the prompt has more than {budget} tokens")
            return Prediction(example.id, empty_annotation(self.encoder.task), "", (problem,), self.options.to_json())
        task = self.encoder.task_of(example)
        results = [self._read_one(task, prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        annotation, problems = results[0] if len(results) == 1 else _merge(example, prompts, results)
        least = self.encoder.contract.min_confidence if self.min_confidence is None else self.min_confidence
        annotation, left_out = leave_out(annotation, least)
        if self.calibrate is not None:
            annotation = map_confidences(annotation, self.calibrate)
        raw = _WINDOW_SEPARATOR.join(completion.text for completion in completions)
        probabilities = completions[0].probabilities  # classifications have no windows
        return Prediction(example.id, annotation, raw, problems, self.options.to_json(), probabilities, left_out)

    def _complete(self, asked: Sequence[tuple[Example, Prompt]]) -> list[Completion]:
        """One completion for each prompt: the likeliest label where labels can be weighed, else what the engine writes."""
        chooser = choose_labels(self.encoder, self.engine, self.options)
        if chooser is not None:
            return chooser.choose(asked)
        return self.engine.complete([prompt for _, prompt in asked], self.options)

    def _read_one(self, task: Task, prompt: Prompt, completion: Completion) -> _Reading:
        """What one completion says; where it was cut off or closed early, its whole items are kept."""
        score = None if isinstance(task, GenerationTask) else score_items(completion, self.encoder.tokenizer)
        cut_off = completion.finish == "length"
        annotation, problems = read_completion(
            task,
            self.encoder.answer_format,
            prompt.text,
            completion.text,
            score,
            cut_off=cut_off,
            closed_at=completion.closed_at[-1] if completion.finish == "closed" else None,
        )
        ended = [(ProblemKind.CLOSED_EARLY, completion.text[:place]) for place in completion.closed_at]
        if cut_off:
            ended.append((ProblemKind.CUT_OFF, completion.text))
        return annotation, (*problems, *(Problem(kind, written[-QUOTED_CHARACTERS:]) for kind, written in ended))


def _merge(example: Example, prompts: Sequence[Prompt], results: Sequence[_Reading]) -> _Reading:
    """One annotation of the whole text from those of its windows."""
    windows = [Window(prompt.offset, prompt.offset + len(prompt.text)) for prompt in prompts]
    extractions = [
        (window, annotation, problems)
        for window, (annotation, problems) in zip(windows, results, strict=True)
        if isinstance(annotation, Extraction)
    ]
    if extractions:
        return merge_windows(example.text, extractions)
    return merge_fields([(annotation, problems) for annotation, problems in results if isinstance(annotation, Fields)])
