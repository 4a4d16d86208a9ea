"""Grammars as masks over tokens, by llguidance.

In: a prompt's grammar text, what grammars cannot say (`closing`), and the tokens chosen so far. Out: which tokens may come
next. It knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Sequence

import llguidance.hf
import llguidance.numpy
import numpy as np
import numpy.typing as npt
from llguidance import LLExecutor, LLMatcher
from transformers import PreTrainedTokenizerBase

from extune.domain.prompt import Prompt
from extune.engines.closing import Guard
from extune.engines.spelling import Spelling
from extune.errors import EngineError

Mask = npt.NDArray[np.bool_]


class Matcher:
    """One answer being written: knows the grammar and the tokens so far; `guard` knows what grammars cannot say."""

    def __init__(self, inner: LLMatcher, example_id: str, guard: Guard | None = None) -> None:
        self.inner = inner
        self.example_id = example_id
        self.guard = guard

    def accept(self, token: int) -> None:
        """Move on by one token that the mask allowed."""
        if not self.inner.consume_token(token):
            raise _failure(self.example_id, self.inner.get_error())
        if self.guard is not None:
            self.guard.accept(token)

    def count_allowed(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the first on, may follow one another here. Much cheaper than a mask."""
        count: int = self.inner.validate_tokens(list(tokens))
        return count if self.guard is None else self.guard.count_allowed(tokens[:count])

    def forced(self) -> list[int]:
        """The next tokens where the text can only go on so; empty where it has a choice."""
        if self.guard is not None and self.guard.closing is not None:
            return self.guard.closing
        tokens: list[int] = self.inner.compute_ff_tokens()
        return tokens

    @property
    def in_free_text(self) -> bool:
        """Whether the guard watches over free text that is being written."""
        return self.guard is not None and self.guard.in_free_text

    def settle(self, token: int) -> int:
        """The token, which may come; or where it leaves no room to end the answer, the first token of the shortest ending."""
        if self.guard is None or self.guard.leaves_room(token):
            return token
        return self.guard.close()

    def close(self) -> bool:
        """From now on only the shortest ending may come; False where there is none within the budget."""
        if self.guard is None or not self.guard.can_close:
            return False
        self.guard.close()
        return True


class GrammarCompiler:
    """Compiles grammars for one tokenizer; a stop token is allowed exactly where the grammar accepts.

    Args:
        tokenizer: of the model.
        vocabulary_size: columns of the model's logits, which may exceed the tokenizer's.
        stop_token_ids: ids that end an answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary_size: int, stop_token_ids: Sequence[int]) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary_size, eos_token=list(stop_token_ids))
        self._vocabulary_size = vocabulary_size
        self._executor = LLExecutor()
        self._spelling = Spelling(self._tokenizer)
        self._stops = list(stop_token_ids)

    def compile(self, prompt: Prompt, budget: int | None = None) -> Matcher | None:
        """The matcher of the prompt's grammar, or None where the prompt has none.

        Args:
            prompt: with the shape of its answers, or None: then only the grammar rules, as with a vocabulary that cannot spell
                every text, by which an ending could not be promised.
            budget: tokens of the answer, a stop included; None where it need not end within one.

        Raises:
            EngineError: the grammar is invalid or beyond llguidance's limits; names the example.
        """
        if prompt.grammar is None:
            return None
        inner = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(prompt.grammar), log_level=0)
        if inner.is_error():
            raise _failure(prompt.example_id, inner.get_error())
        if prompt.shape is None or not self._spelling.is_total:
            return Matcher(inner, prompt.example_id)
        return Matcher(inner, prompt.example_id, Guard(prompt.shape, self._spelling, self._stops, budget))

    def allowed(self, matchers: Sequence[Matcher | None]) -> Mask:
        """Which tokens each answer may go on with: booleans of shape (answers, vocabulary); all True without a grammar."""
        bits = llguidance.numpy.allocate_token_bitmask(len(matchers), self._vocabulary_size)
        constrained = [(matcher.inner, row) for row, matcher in enumerate(matchers) if matcher is not None]
        if constrained:
            llguidance.numpy.fill_next_token_bitmask_par(self._executor, constrained, bits)
        for matcher in matchers:
            if matcher is not None and matcher.inner.is_error():
                raise _failure(matcher.example_id, matcher.inner.get_error())
        unpacked = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little", count=self._vocabulary_size)
        mask = unpacked.view(np.bool_)
        for row, matcher in enumerate(matchers):
            if matcher is not None and matcher.guard is not None:
                matcher.guard.refine(mask[row])
        return mask

    def masks(self, matcher: Matcher, answer: Sequence[int]) -> Mask | None:
        """What was allowed in the place of each token of a whole answer, stop id included: (tokens, vocabulary).

        None where the grammar does not allow the answer. The matcher is used up.
        """
        rows = []
        for number, token in enumerate(answer):
            rows.append(self.allowed([matcher])[0])
            if not rows[-1][token]:
                return None
            if number + 1 < len(answer):
                matcher.accept(token)
        return np.stack(rows)


def _failure(example_id: str, message: str) -> EngineError:
    first = message.strip().splitlines()[0][:200] if message.strip() else "unknown"
    return EngineError(
        f"example {example_id!r}: the grammar of its answers cannot be used: {first}",
        where="constraint",
        expected="a grammar that llguidance compiles",
        fix="train with prompt.constrain=false, or leave the example out",
    )
