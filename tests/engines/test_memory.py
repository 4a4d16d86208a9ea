"""One beginning in front of many batches: a pass sees the beginning and itself, and nothing of the passes before."""

from __future__ import annotations

import torch
from transformers import DynamicCache, PreTrainedModel

from extune.engines.memory import PrefixMemory


def test_batches_of_any_shape_see_the_prefix_and_themselves(base_model: PreTrainedModel) -> None:
    draw = torch.Generator().manual_seed(1)

    def ids(rows: int, tokens: int) -> torch.Tensor:
        return torch.randint(100, 5000, (rows, tokens), generator=draw)

    before = 9
    beginning = ids(1, before)
    with torch.no_grad():
        cache = DynamicCache(config=base_model.config)
        base_model(input_ids=beginning, past_key_values=cache, use_cache=True)
        memory = PrefixMemory(cache)
        for rows, tokens in ((1, 6), (4, 3), (2, 8), (4, 8), (1, 1)):  # more rows, more tokens, both, and fewer
            rest = ids(rows, tokens)
            mask = torch.ones(tokens, before + tokens, dtype=torch.bool).tril(before).expand(rows, 1, -1, -1)
            found = base_model(
                input_ids=rest,
                attention_mask=mask,
                position_ids=torch.arange(before, before + tokens).expand(rows, -1),
                past_key_values=memory.open(rows, tokens),
                use_cache=True,
            ).logits
            alone = base_model(input_ids=torch.cat([beginning.expand(rows, -1), rest], dim=1)).logits[:, before:]
            torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-4)
