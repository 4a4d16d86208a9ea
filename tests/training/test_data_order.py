"""Every row once per epoch, batches of even length, an order that depends on seed and epoch alone."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from extune.training.data_order import LengthGroupedOrder


def order(lengths: list[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    sampler = LengthGroupedOrder(lengths, batch_size, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.lists(st.integers(1, 50), max_size=200), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_no_row_is_lost_or_doubled(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    assert sorted(order(lengths, batch_size, seed, epoch)) == list(range(len(lengths)))
    assert len(LengthGroupedOrder(lengths, batch_size, seed)) == len(lengths)


@given(st.lists(st.integers(1, 50), max_size=100), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_the_order_is_reproducible(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    assert order(lengths, batch_size, seed, epoch) == order(lengths, batch_size, seed, epoch)


def test_seeds_and_epochs_differ() -> None:
    orders = [tuple(order([5] * 64, 4, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == len(orders)


def test_batches_are_even_in_length_and_random_in_order() -> None:
    draw = random.Random(0)
    lengths = [draw.randrange(1, 1000) for _ in range(16 * 8 * 4)]
    batches = [order(lengths, 8, 1, 0)[start : start + 8] for start in range(0, len(lengths), 8)]
    spread = sum(max(lengths[at] for at in batch) - min(lengths[at] for at in batch) for batch in batches) / len(batches)
    assert spread < 150  # of about 800 where rows are drawn at random
    longest = [max(lengths[at] for at in batch) for batch in batches]
    assert longest != sorted(longest)
