"""One path from text to prediction for batch, server, training's dev scoring and tests.

In: examples. Out: predictions in the same order. It knows nothing about files, and of the model only the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from extune.data.windows import Window, merge_windows
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Completion, Prediction, Problem, ProblemKind
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions, Engine
from extune.prompts.alignment import read_extraction
from extune.tokens.encode import Encoder

_CHUNK = 1024
_WINDOW_SEPARATOR = "\f"


@dataclass(frozen=True)
class Predictor:
    """Encodes, completes, parses and aligns.

    Attributes:
        encoder: obeys the contract.
        engine: any; its answers are read in the same way.
        options: how tokens are chosen; written into every prediction.
    """

    encoder: Encoder
    engine: Engine
    options: DecodingOptions = field(default_factory=DecodingOptions)

    def predict(self, text: str) -> Extraction:
        """What the model finds in one text.

        Raises:
            DataError: the text does not fit and the contract says that this is an error.
        """
        (prediction,) = self.predict_many([Example(id="text", text=text)])
        if not isinstance(prediction.annotation, Extraction):
            raise TypeError("an extraction task predicts extractions")
        return prediction.annotation

    def predict_many(self, examples: Iterable[Example], chunk: int = _CHUNK) -> Iterator[Prediction]:
        """A prediction for every example, in input order, each example exactly once.

        Args:
            examples: may be a stream; gold annotations are not looked at.
            chunk: examples that are read and completed together.

        Raises:
            DataError: a text does not fit and the contract says that this is an error.
        """
        stream = iter(examples)
        while batch := list(islice(stream, chunk)):
            prompts = [self.encoder.encode_prompts(example) for example in batch]
            completions = self.engine.complete([prompt for group in prompts for prompt in group], self.options)
            if len(completions) != sum(map(len, prompts)):
                raise RuntimeError(f"engine {self.engine.name} returned {len(completions)} completions, not one per prompt")
            rest = iter(completions)
            for example, group in zip(batch, prompts, strict=True):
                yield self._read(example, group, list(islice(rest, len(group))))

    def _read(self, example: Example, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Prediction:
        if not prompts:
            budget = self.encoder.contract.max_input_tokens
            problem = Problem(ProblemKind.TOO_LONG, f"the prompt has more than {budget} tokens")
            return Prediction(example.id, Extraction(), "", (problem,), self.options.to_json())
        results = [self._read_one(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        annotation, problems = results[0]
        if len(results) > 1:
            windows = [Window(prompt.offset, prompt.offset + len(prompt.text)) for prompt in prompts]
            annotation, problems = merge_windows(
                example.text, [(window, *result) for window, result in zip(windows, results, strict=True)]
            )
        raw = _WINDOW_SEPARATOR.join(completion.text for completion in completions)
        return Prediction(example.id, annotation, raw, problems, self.options.to_json())

    def _read_one(self, prompt: Prompt, completion: Completion) -> tuple[Extraction, tuple[Problem, ...]]:
        """What one completion says; where it was cut off, what could be read of it is kept."""
        annotation, problems = read_extraction(self.encoder.task, self.encoder.answer_format, prompt.text, completion.text)
        if completion.finish == "length":
            problems = (*problems, Problem(ProblemKind.CUT_OFF, completion.text[-80:]))
        return annotation, problems
