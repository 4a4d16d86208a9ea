"""Keys and values of answers that grow by different numbers of tokens: what a draft adds and is not accepted is written over.

In: the cache behind a batch of left-padded prompts, then the next tokens of each row. Out: logits. It knows nothing about
grammars and how tokens are chosen. A row's answer stands in slots of its own: slot n holds its n-th token, whatever the other
rows hold. A mask shows each query the slots up to its own, so that nothing needs to be removed, and no row waits for another.
Shapes: B rows, L cached tokens of prompts, T new tokens of the row that adds most, A slots, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

_MORE_SLOTS = 32


class Memory(Protocol):
    """What a model has read of each row."""

    def read(self, steps: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read at least one token of each row; logits (B, T, V), row for row from the left."""

    def accept(self, counts: Sequence[int]) -> None:
        """So many of the tokens just read stand; the rest of each row is forgotten."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""


class GrowingMemory:
    """One token a row and step, in the library's own cache, for any model: sliding windows and recurrent layers too.

    Args:
        decoder: the model.
        cache: of the prompts.
        mask: 1 where a token stands, (B, L).
        positions: of the last tokens, (B, 1).
    """

    def __init__(self, decoder: Any, cache: DynamicCache, mask: torch.Tensor, positions: torch.Tensor) -> None:
        self._decoder, self._cache, self._mask, self._positions = decoder, cache, mask, positions

    def read(self, steps: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read one token of each row."""
        ids = torch.tensor(steps, device=self._mask.device)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(steps), 1)], dim=1)
        self._positions = self._positions + 1
        logits: torch.Tensor = self._decoder(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).logits
        return logits

    def accept(self, counts: Sequence[int]) -> None:
        """Nothing to forget: every row read one token."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        chosen = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(chosen)
        self._mask, self._positions = self._mask[chosen], self._positions[chosen]


class SlotMemory:
    """Any number of tokens a row and step. Wants a model whose layers all attend to all earlier tokens under a given mask.

    Args: as of `GrowingMemory`; the cache is copied.
    """

    def __init__(self, decoder: Any, cache: DynamicCache, mask: torch.Tensor, positions: torch.Tensor) -> None:
        self._decoder = decoder
        self._visible = mask.bool()
        self._written = torch.zeros_like(positions)  # slots of each row that stand, (B, 1)
        self._behind = positions + 1  # position of the token in slot 0, (B, 1)
        self._layers = [_SlotLayer(layer.keys, layer.values) for layer in cache.layers]
        self._cache = Cache(layers=list(self._layers))

    def read(self, steps: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read some tokens of each row; what stands behind a row's own in the result means nothing."""
        longest, device = max(map(len, steps)), self._visible.device
        ids = torch.tensor([[*step, *[0] * (longest - len(step))] for step in steps], device=device)
        slots = self._written + torch.arange(longest, device=device)
        used = int(slots.max()) + 1
        answer = torch.arange(used, device=device) <= slots[:, :, None]
        prompt = self._visible[:, None].expand(-1, longest, -1)
        for layer in self._layers:
            layer.expect(slots + self._visible.shape[1], self._visible.shape[1] + used)
        logits: torch.Tensor = self._decoder(
            input_ids=ids,
            attention_mask=torch.cat([prompt, answer], dim=2)[:, None],
            position_ids=self._behind + slots,
            past_key_values=self._cache,
            use_cache=True,
        ).logits
        return logits

    def accept(self, counts: Sequence[int]) -> None:
        """So many of the tokens just read stand."""
        self._written = self._written + torch.tensor(counts, device=self._written.device)[:, None]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        chosen = torch.tensor(rows, device=self._visible.device)
        self._visible, self._written, self._behind = self._visible[chosen], self._written[chosen], self._behind[chosen]
        for layer in self._layers:
            layer.reorder_cache(chosen)


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is not typed for mypy
    """One layer's keys and values, (B, heads, L + A, head size); new ones go where `expect` said."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True
        self._places = torch.zeros(0)
        self._used = keys.shape[2]

    def expect(self, places: torch.Tensor, used: int) -> None:
        """The next update goes to `places`, (B, T); `used` places from the left are then looked at."""
        self._places, self._used = places, used
        missing = used - self.keys.shape[2]
        if missing > 0:
            shape = (*self.keys.shape[:2], missing + _MORE_SLOTS, self.keys.shape[3])
            self.keys = torch.cat([self.keys, self.keys.new_zeros(shape)], dim=2)
            self.values = torch.cat([self.values, self.values.new_zeros(*shape[:3], self.values.shape[3])], dim=2)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing: there are keys and values from the beginning."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new ones in their places; all that are in use."""
        del args, kwargs  # the library's layers take more
        rows = torch.arange(len(self._places), device=self._places.device)[:, None]
        self.keys[rows, :, self._places] = key_states.transpose(1, 2)
        self.values[rows, :, self._places] = value_states.transpose(1, 2)
        return self.keys[:, :, : self._used], self.values[:, :, : self._used]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Places and offset; nobody asks as long as each pass brings its own mask."""
        del query_length
        return self._used, 0

    def get_seq_length(self) -> int:
        """Places in use."""
        return self._used

    def get_max_length(self) -> int:
        """No maximum."""
        return -1


class PrefixMemory:
    """Keys and values with which the rows of many batches begin: copied when a batch is larger than all before, not for each.

    Wants a model whose layers all attend to all earlier tokens under a given mask.

    Args:
        prefix: of one row.
    """

    def __init__(self, prefix: DynamicCache) -> None:
        self._layers = [_PrefixLayer(layer.keys, layer.values) for layer in prefix.layers]

    def open(self, rows: int, tokens: int) -> Cache:
        """A cache for one pass over so many rows and tokens behind the prefix; what the pass before added is written over."""
        for layer in self._layers:
            layer.expect(rows, tokens)
        return Cache(layers=list(self._layers))


class _PrefixLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is not typed for mypy
    """One layer's keys and values, (B, heads, P + T, head size) or larger."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True
        self._prefix = keys.shape[2]

    def expect(self, rows: int, tokens: int) -> None:
        """The next update is of so many rows and tokens."""
        held, _, places, _ = self.keys.shape
        if held < rows or places < self._prefix + tokens:
            rows, places = max(held, rows), max(places, self._prefix + tokens)
            self.keys, self.values = self._widen(self.keys, rows, places), self._widen(self.values, rows, places)

    def _widen(self, held: torch.Tensor, rows: int, places: int) -> torch.Tensor:
        wide = held.new_empty(rows, held.shape[1], places, held.shape[3])
        wide[:, :, : self._prefix] = held[:1, :, : self._prefix]
        return wide

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing: there are keys and values from the beginning."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new ones behind the prefix; both together."""
        del args, kwargs  # the library's layers take more
        rows, end = key_states.shape[0], self._prefix + key_states.shape[2]
        self.keys[:rows, :, self._prefix : end] = key_states
        self.values[:rows, :, self._prefix : end] = value_states
        return self.keys[:rows, :, :end], self.values[:rows, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Places and offset; nobody asks as long as each pass brings its own mask."""
        return self._prefix + query_length, 0

    def get_seq_length(self) -> int:
        """Places before the next tokens."""
        return self._prefix

    def get_max_length(self) -> int:
        """No maximum."""
        return -1
