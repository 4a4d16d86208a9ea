"""Which examples of one file are train, dev and test: by hash, so that it is the same everywhere and in any order.

In: examples, what must stay together, and `data.split`. Out: the name of a part for each example. Test is taken from the
lower end of the hashes and dev from the upper, so that a change of one moves nothing in the other. A share takes the hashes
below (above) it: added rows never move others, and its size is near the share, not equal. A number takes whole groups from
the end until it is reached: an added row may take the place of one of them, which then becomes train; train never becomes
test. With `stratify` every class gives its part of the number.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from extune.domain.annotation import Labels
from extune.domain.example import Example
from extune.recipe.sections import SplitSection


def assign_parts(examples: Sequence[Example], groups: Mapping[str, str], split: SplitSection) -> list[str]:
    """`train`, `dev` or `test` for each example, in order.

    Args:
        examples: of one file.
        groups: by example id; examples of one group get one part. Others stand with their own id, or, where they are
            numbered, with all that have their content.
        split: sizes, seed, and whether classes are divided evenly.
    """
    keys = [f"group {groups[one.id]}" if one.id in groups else find_key(one) for one in examples]
    sizes = Counter(keys)
    places = {key: hash_place(split.seed, key) for key in sizes}
    order = sorted(sizes, key=lambda key: (places[key], key))
    strata = _find_strata(examples, keys) if split.stratify else dict.fromkeys(sizes, "")
    test = _take(order, split.test, (sizes, strata), {key for key in order if places[key] < (split.test or 0)}, split.stratify)
    rest = [key for key in reversed(order) if key not in test]
    dev = _take(rest, split.dev, (sizes, strata), {key for key in rest if places[key] >= 1 - (split.dev or 0)}, split.stratify)
    return ["test" if key in test else "dev" if key in dev else "train" for key in keys]


def find_key(example: Example) -> str:
    """What an example is known by: its own id, or its content where the reader numbered it."""
    stem = re.escape(Path(example.source.file).stem) if example.source is not None else None
    if stem is None or not re.fullmatch(rf"(.*/)?{stem}-\d+(-\d+)?", example.id):
        return f"id {example.id}"
    return content_key(example)


def content_key(example: Example) -> str:
    """What is asked: instruction, earlier turns and text."""
    return "content " + json.dumps([example.instruction, example.history, example.text])


def _take(
    order: Sequence[str],
    size: int | float | None,
    counts: tuple[Mapping[str, int], Mapping[str, str]],
    within_share: set[str],
    stratify: bool,
) -> set[str]:
    """The groups of one part.

    Args:
        order: of the groups, the first to be taken first.
        size: a share below 1, a number of examples, or None for no part.
        counts: examples in each group, and the stratum of each group.
        within_share: the groups whose hash lies in the share.
        stratify: whether strata give their parts exactly.
    """
    if size is None:
        return set()
    if size < 1 and not stratify:
        return within_share
    sizes, strata = counts
    in_stratum: Counter[str] = Counter()
    for key in sizes:
        in_stratum[strata[key]] += sizes[key]
    wanted = round(size * in_stratum.total()) if size < 1 else int(size)
    quotas = _share_out(wanted, in_stratum)
    taken: set[str] = set()
    for key in order:
        if quotas[strata[key]] > 0:
            quotas[strata[key]] -= sizes[key]
            taken.add(key)
    return taken


def _share_out(wanted: int, in_stratum: Mapping[str, int]) -> dict[str, int]:
    """Whole numbers that add up to `wanted`, in proportion to the strata: largest remainders get the rest."""
    total = sum(in_stratum.values())
    exact = {name: Fraction(wanted * count, total) for name, count in in_stratum.items()}
    quotas = {name: int(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (quotas[name] - exact[name], name))
    for name in by_remainder[: wanted - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _find_strata(examples: Sequence[Example], keys: Iterable[str]) -> dict[str, str]:
    """The most frequent class of each group; of several equally frequent ones the first by name."""
    counts: dict[str, Counter[str]] = {}
    for example, key in zip(examples, keys, strict=True):
        names = example.gold.names if isinstance(example.gold, Labels) else ()
        counts.setdefault(key, Counter())["\n".join(sorted(names))] += 1
    return {key: min(found, key=lambda name: (-found[name], name)) for key, found in counts.items()}


def hash_place(seed: int, key: str) -> float:
    """A number in [0, 1) that looks random and depends on seed and key only."""
    digest = hashlib.blake2b(f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
