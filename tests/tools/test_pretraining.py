"""The pre-training loss and its rows."""

from __future__ import annotations

import numpy as np
import torch
from tools.embedded_base.pretrain import Rows, Stage, segmented_loss, weighted_loss
from transformers import Qwen3Config, Qwen3ForCausalLM


def build_tiny() -> Qwen3ForCausalLM:
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM._from_config(config, attn_implementation="eager")


def test_packed_rows_do_not_see_each_other() -> None:
    model = build_tiny()
    first, second = [5, 6, 7, 8, 0], [9, 10, 11, 0]
    packed = segmented_loss(model, torch.tensor([first + second]), torch.tensor([[0.0] + [1.0] * 4 + [0.0] + [1.0] * 3]))
    alone = [weighted_loss(model, torch.tensor([row]), torch.ones(1, len(row))) for row in (first, second)]
    expected = (alone[0] * 4 + alone[1] * 3) / 7
    torch.testing.assert_close(packed, expected, rtol=1e-5, atol=1e-6)


def test_rows_visit_every_block_once_and_in_an_order_of_the_seed() -> None:
    rows = Rows(np.arange(40, dtype=np.uint16), None, 4, seed=1)
    seen = [rows.batch(step, 5)[0][:, 0].tolist() for step in range(2)]
    assert sorted(seen[0] + seen[1]) == list(range(0, 40, 4))
    assert Rows(np.arange(40, dtype=np.uint16), None, 4, seed=1).batch(0, 5)[0][:, 0].tolist() == seen[0]


def test_rate_rises_stays_and_falls() -> None:
    stage = Stage("x", 4, 8, steps=100, warmup_steps=10, decay_share=0.5)
    rates = [stage.rate(step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert set(rates[10:50]) == {1.0}
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[-1] > 0
