"""In which order rows are trained. In: lengths, batch size, seed. Out: indices. It knows nothing about what a row holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch.utils.data import Sampler

MEGA_BATCH = 16
"""Batches that are sorted by length together: enough for even lengths, few enough to keep the order random."""


class LengthGroupedOrder(Sampler[int]):
    """Every row once per epoch, rows of similar length in one batch, batches in random order.

    The rows are shuffled and sorted by length inside runs of `MEGA_BATCH` batches; then the batches are shuffled. The last,
    smaller batch stays last, so that cutting the order into runs of `batch_size` gives exactly these batches. The order
    depends on seed and epoch alone, so a resumed training continues it.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives; the data loader calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shuffled = torch.randperm(len(self.lengths), generator=random).tolist()
        mega = self.batch_size * MEGA_BATCH
        grouped: list[int] = []
        for start in range(0, len(shuffled), mega):
            grouped += sorted(shuffled[start : start + mega], key=self.lengths.__getitem__)
        full = len(grouped) // self.batch_size
        for batch in torch.randperm(full, generator=random).tolist():
            yield from grouped[batch * self.batch_size : (batch + 1) * self.batch_size]
        yield from grouped[full * self.batch_size :]


class BatchesOfProcess(Sampler[list[int]]):
    """What one of several processes trains of each batch: together they train every row exactly once.

    A batch of all processes is `order.batch_size` rows, of which each takes every `count`th: lengths stay alike. Of the last,
    smaller batch some may get fewer rows or none, but all have equally many batches.

    Args:
        order: of the rows; its batch size counts the rows of all processes.
        rank: number of this process, from 0.
        count: of processes.
    """

    def __init__(self, order: LengthGroupedOrder, rank: int, count: int) -> None:
        self.sampler, self.rank, self.count = order, rank, count  # accelerate looks for `sampler` to tell it the epoch

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / self.sampler.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.sampler.batch_size)):
            yield batch[self.rank :: self.count]
