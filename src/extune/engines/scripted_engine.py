"""An engine that answers from a script: for tests, and to replay saved completions. It knows nothing about models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.errors import EngineError


class ScriptedEngine:
    """Answers each prompt with the scripted text; each character counts as one token and the stop as one more.

    Args:
        answers: text by example id, or a function of the prompt.
        max_answer_tokens: longer answers are cut off, like a model's.
    """

    name = "scripted"

    def __init__(self, answers: Mapping[str, str] | Callable[[Prompt], str], max_answer_tokens: int = 512) -> None:
        self._answers = answers
        self._max_answer_tokens = max_answer_tokens

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt, in the order of the prompts."""
        budget = options.token_budget(self._max_answer_tokens)
        return [self._complete_one(self._answer(prompt), budget) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        if prompt.example_id not in self._answers:
            raise EngineError(
                f"the script has no answer for example {prompt.example_id!r}",
                where="scripted engine",
                expected="an answer for every example",
                fix="add the answer to the script",
            )
        return self._answers[prompt.example_id]

    @staticmethod
    def _complete_one(answer: str, budget: int) -> Completion:
        if len(answer) < budget:
            return Completion(answer, "stop", len(answer) + 1)
        return Completion(answer[:budget], "length", budget)
