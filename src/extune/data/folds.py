"""Parts of one set of examples for studies: folds, and subsets of which each holds the smaller ones.

In: examples and what must stay together. Out: a fold for each example, or a subset. By hash, as in `partition`: the same on
every machine and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extune.data.partition import find_key, hash_place
from extune.domain.example import Example


def assign_folds(examples: Sequence[Example], groups: Mapping[str, str], folds: int, seed: int) -> list[int]:
    """The fold of each example, from 0; added examples move no others, so folds are near equal in size, not equal.

    Args:
        examples: of one file.
        groups: by example id; examples of one group get one fold.
        folds: how many.
        seed: another seed, other folds.
    """
    return [int(place * folds) for place in _places(examples, groups, seed)]


def take_share(examples: Sequence[Example], groups: Mapping[str, str], share: float, seed: int) -> tuple[Example, ...]:
    """About `share` of the examples, in their order: whole groups until the number is reached, at least one group.

    Of equal seeds a larger share holds every smaller one.
    """
    places = _places(examples, groups, seed)
    border = sorted(places)[max(round(share * len(examples)), 1) - 1]
    return tuple(example for example, place in zip(examples, places, strict=True) if place <= border)


def _places(examples: Sequence[Example], groups: Mapping[str, str], seed: int) -> list[float]:
    """A number in [0, 1) for each example, the same within a group."""
    keys = [f"group {groups[one.id]}" if one.id in groups else find_key(one) for one in examples]
    places = {key: hash_place(seed, key) for key in keys}
    return [places[key] for key in keys]
