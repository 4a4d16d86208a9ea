"""How sure a model was of each mention, field value or label that it wrote.

In: a completion with its tokens' log-probabilities. Out: a function from an item's place in the completion to a probability.
It knows nothing about gold; `docs/decisions/0030-confidence-of-an-item.md` says why it is this product.

The raw confidence of an item is the product of the probabilities of the token before it (which says that there is such an
item), of every token that holds a byte of it, and of the token behind it (which says that it ends here). Where its first or
last token also holds characters around it, that token says so already. A type that is written behind the mention belongs to it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from transformers import PreTrainedTokenizerBase

from extune.domain.prediction import Completion
from extune.prompts.formats.base import ItemScorer, ParsedItem
from extune.tokens.token_places import place_tokens


def score_items(
    completion: Completion, tokenizer: PreTrainedTokenizerBase, calibrate: Callable[[float], float] | None = None
) -> ItemScorer | None:
    """Tells the confidence of the completion's items; None where the engine gave no log-probabilities.

    Args:
        completion: whose items are asked for.
        tokenizer: that wrote it.
        calibrate: what is made of a raw confidence; None leaves it as it is.
    """
    ids, logprobs = completion.token_ids, completion.logprobs
    if ids is None or logprobs is None:
        return None
    length = len(completion.text)
    written = ids[:-1] if completion.finish == "stop" else ids
    places = (*place_tokens(tokenizer, written, completion.text), *[(length, length)] * (len(ids) - len(written)))
    if places and places[-1][1] < length:  # not what these tokens read
        return None
    starts, ends = [start for start, _ in places], [end for _, end in places]

    def score(item: ParsedItem) -> float:
        item_end = item.type_end or item.completion_end
        first, behind = bisect_right(ends, item.completion_start), bisect_left(starts, item_end)
        first -= first > 0 and starts[first] == item.completion_start
        behind += ends[behind - 1] == item_end
        raw = math.exp(math.fsum(logprobs[first:behind]))
        return raw if calibrate is None else calibrate(raw)

    return score
