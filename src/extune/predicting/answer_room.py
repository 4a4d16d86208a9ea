"""Whether a budget holds any answer at all. In: an encoder and decoding options. Out: an error before anything is asked.

It knows nothing about texts: formats that copy them need more, which is known only when a text is there.
"""

from __future__ import annotations

from extune.domain.task import ClassificationTask
from extune.engines.engine import DecodingOptions
from extune.errors import RecipeError
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import AnswerEncoder


def require_room(encoder: Encoder, options: DecodingOptions) -> None:
    """Raise a RecipeError where constrained answers cannot end within their budget, whatever the text."""
    contract, task = encoder.contract, encoder.task
    if not contract.constrain or (isinstance(task, ClassificationTask) and not task.label_names):
        return
    shape = encoder.answer_format.build_shape(task, "")
    if shape is None:
        return
    shortest = shape.begin().closing().decode()
    needed = len(AnswerEncoder(encoder.tokenizer).encode(shortest)) + 1
    budget = options.token_budget(contract.max_answer_tokens)
    if needed <= budget:
        return
    asked = budget < contract.max_answer_tokens
    raise RecipeError(
        f"answers may have {budget} tokens, and the shortest one, {shortest!r}, has {needed} with the one that ends it",
        where="--max-new-tokens" if asked else "prompt.max_answer_tokens",
        expected=f"{needed} or more",
        fix="--max-new-tokens 256, or leave it out" if asked else "train with prompt.max_answer_tokens=256",
    )
