"""Names of types and labels that are almost the same. In: names. Out: which code an unknown name gets, and its likely spelling.

Two names are variants of each other where they are equal after Unicode NFKC (full- and half-width), without blanks and case.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

_LONG_NAME = 5  # characters from which two edits still are a typing mistake


def fold_name(name: str) -> str:
    """The name without width, case and blanks."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def find_variant(name: str, names: Sequence[str]) -> str | None:
    """The one of `names` that `name` is a variant of; None where there is none, or where it is not clear which."""
    same = [one for one in names if fold_name(one) == fold_name(name)]
    return same[0] if len(same) == 1 else None


def classify_name(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Code and detail of a name that is none of `names`."""
    variant = find_variant(name, names)
    if variant is not None:
        return "name-variant", f"{name!r} is written {variant!r} in the task"
    allowed = 1 if len(name) < _LONG_NAME else 2
    distances = {one: edit_distance(name, one) for one in names if one}
    close = [one for one, distance in distances.items() if distance <= allowed and distance < max(len(one), len(name))]
    if close:
        return "name-typo", f"{name!r}, did you mean {min(close, key=distances.__getitem__)!r}?"
    return "unknown-name", repr(name)


def find_alike(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of names that are variants of each other."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[fold_name(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def edit_distance(left: str, right: str) -> int:
    """Insertions, deletions and replacements (Levenshtein) that turn one string into the other."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]
