"""Folds and nested parts depend on ids and seed alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.folds import assign_folds, take_share
from extune.domain.example import Example

EXAMPLES = [Example(f"e{number}", f"text {number}") for number in range(300)]
GROUPS = {f"e{number}": f"patient {number // 5}" for number in range(300)}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(EXAMPLES), unique=True, max_size=20), st.integers(2, 5), st.integers(0, 9))
def test_a_fold_depends_on_the_id_alone(order: list[Example], folds: int, seed: int) -> None:
    whole = dict(zip([one.id for one in EXAMPLES], assign_folds(EXAMPLES, {}, folds, seed), strict=True))
    for example, fold in zip(order, assign_folds(order, {}, folds, seed), strict=True):
        assert fold == whole[example.id]
        assert 0 <= fold < folds


def test_folds_are_near_equal_and_another_seed_makes_others() -> None:
    one, other = (assign_folds(EXAMPLES, {}, 3, seed) for seed in (1, 2))
    assert all(70 < one.count(fold) < 130 for fold in range(3))
    assert one != other


def test_a_group_has_one_fold() -> None:
    folds = assign_folds(EXAMPLES, GROUPS, 3, 1)
    by_group = {(GROUPS[example.id], fold) for example, fold in zip(EXAMPLES, folds, strict=True)}
    assert len(by_group) == len(set(GROUPS.values()))


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9), st.booleans())
def test_a_larger_part_holds_every_smaller_one(one: float, other: float, seed: int, grouped: bool) -> None:
    groups = GROUPS if grouped else {}
    small, large = (take_share(EXAMPLES, groups, share, seed) for share in sorted((one, other)))
    assert set(small) <= set(large)
    assert list(large) == [example for example in EXAMPLES if example in set(large)]
    wanted = max(1, round(max(one, other) * len(EXAMPLES)))
    assert wanted <= len(large) <= wanted + (4 if grouped else 0)


def test_all_of_it_is_all_of_it() -> None:
    assert take_share(EXAMPLES, {}, 1.0, 3) == tuple(EXAMPLES)
