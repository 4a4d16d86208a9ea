"""How sure a model was of each mention, field value or label that it wrote.

In: a completion with its tokens' log-probabilities. Out: a function from an item's place in the completion to a probability.
It knows nothing about gold; `docs/decisions/0032-confidence-of-an-item.md` says why it is this product.

The raw confidence of an item is the product of the probabilities of every token that holds a byte of it, of the character
before it (which says that there is such an item) or of the character behind it (which says that it ends here; behind the last
character stands the stop token). So a token that crosses a border counts whole, for both of its sides. A type that is written
behind a mention belongs to it. A label that was weighed against all others has the probability that it got there.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from transformers import PreTrainedTokenizerBase

from extune.domain.prediction import Completion
from extune.prompts.formats.base import ItemScorer, ParsedItem
from extune.tokens.token_places import place_tokens


def score_items(completion: Completion, tokenizer: PreTrainedTokenizerBase) -> ItemScorer | None:
    """Tells the raw confidence of the completion's items; None where the engine gave no log-probabilities.

    Args:
        completion: whose items are asked for.
        tokenizer: that wrote it.
    """
    if completion.probabilities:
        return lambda item: completion.probabilities[item.type]
    ids, logprobs = completion.token_ids, completion.logprobs
    if ids is None or logprobs is None:
        return None
    length = len(completion.text)
    written = place_tokens(tokenizer, ids if completion.finish == "length" else ids[:-1], completion.text)
    if length and (not written or written[-1][1] < length):  # the tokens do not read like the text
        return None
    places = (*written, *[(length, length)] * (len(ids) - len(written)))
    starts, ends = [start for start, _ in places], [end for _, end in places]

    def score(item: ParsedItem) -> float:
        before, behind = item.completion_start - 1, item.type_end or item.completion_end
        tokens = slice(bisect_right(ends, before), bisect_left(starts, behind + 1))
        return math.exp(math.fsum(logprobs[tokens]))

    return score
