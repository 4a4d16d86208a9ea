"""Several processes that train together: which one this is, and rows shared out among them.

In: what torchrun told its processes. Out: numbers, shares, and rows in order again. It knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed
from accelerate.utils import get_int_from_env

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """One of the processes of a training.

    Attributes:
        rank: among all, from 0; the first one writes the files.
        local_rank: among those of this machine: the number of its GPU.
        count: of all processes.
        local_count: of those on this machine.
    """

    rank: int
    local_rank: int
    count: int
    local_count: int

    @property
    def is_first(self) -> bool:
        """True for the one that writes the files."""
        return self.rank == 0


def this_process() -> Process:
    """Number 0 of 1 where torchrun did not start this process."""
    count = get_int_from_env(["WORLD_SIZE"], 1)
    return Process(
        rank=get_int_from_env(["RANK"], 0),
        local_rank=get_int_from_env(["LOCAL_RANK"], 0),
        count=count,
        local_count=get_int_from_env(["LOCAL_WORLD_SIZE"], count),
    )


def share_cores(device: torch.device) -> None:
    """Divide the cores of this machine among its processes; without that each would take all of them."""
    count = this_process().local_count
    if device.type == "cpu" and count > 1:
        torch.set_num_threads(max(torch.get_num_threads() // count, 1))


def share_of(items: Sequence[T]) -> Sequence[T]:
    """What this process does of the items, which are the same in all of them."""
    process = this_process()
    return items[process.rank :: process.count]


def gather_shares(share: Sequence[T], total: int) -> list[T]:
    """The results for all items in their order, in every process.

    Args:
        share: results for `share_of(items)`, in its order.
        total: number of items.
    """
    count = this_process().count
    if count == 1:
        return list(share)
    shares: list[Sequence[T]] = [[] for _ in range(count)]
    torch.distributed.all_gather_object(shares, list(share))
    return [shares[number % count][number // count] for number in range(total)]


def any_process(value: bool, device: torch.device) -> bool:
    """Whether the value is true in any process; all of them must ask."""
    return bool(largest(int(value), device))


def smallest(value: int, device: torch.device) -> int:
    """The smallest of the values of all processes; all of them must ask."""
    return -largest(-value, device)


def largest(value: int, device: torch.device) -> int:
    """The largest of the values of all processes; all of them must ask."""
    if this_process().count == 1:
        return value
    most = torch.tensor(value, device=device)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    return int(most)
