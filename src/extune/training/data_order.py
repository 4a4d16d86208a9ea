"""In which order rows are trained. In: lengths, batch size, seed. Out: indices. It knows nothing about what a row holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
