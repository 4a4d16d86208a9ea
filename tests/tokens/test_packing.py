"""Packs hold every token and every target of their rows, and let each token see exactly what it sees in its own row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.tokens import packing
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import (
    IGNORED,
    answers_only,
    collate_packed,
    collate_padded,
    dense_mask,
    group_by_prefix,
    shared_prefix_length,
    split_into_lines,
    split_into_packs,
)


@st.composite
def rows_of_a_batch(draw: st.DrawFn) -> list[EncodedRow]:
    prefix = draw(st.lists(st.integers(0, 3), max_size=6))
    rows = []
    for number in range(draw(st.integers(1, 5))):
        prompt = [*prefix, *draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))]
        answer = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


@given(rows_of_a_batch())
@settings(deadline=None)
def test_a_pack_is_every_prefix_once_and_every_rest(rows: list[EncodedRow]) -> None:
    pack, groups = collate_packed(rows), group_by_prefix(rows)
    prefix_of = {at: group.prefix for group in groups for at in group.rows}
    ids = [token for group in groups for token in rows[group.rows[0]].ids[: group.prefix]]
    positions = [at for group in groups for at in range(group.prefix)]
    assert pack["input_ids"].tolist() == [ids + [token for at, row in enumerate(rows) for token in row.ids[prefix_of[at] :]]]
    rests = [place for at, row in enumerate(rows) for place in range(prefix_of[at], len(row.ids))]
    assert pack["position_ids"].tolist() == [positions + rests]


@given(rows_of_a_batch())
@settings(deadline=None)
def test_the_prefix_is_shared_by_all_and_as_long_as_it_may_be(rows: list[EncodedRow]) -> None:
    prefix = shared_prefix_length(rows)
    assert len({row.ids[:prefix] for row in rows}) == 1
    assert all(prefix < row.prompt_length for row in rows)
    assert len({row.ids[: prefix + 1] for row in rows}) > 1 or prefix + 1 == min(row.prompt_length for row in rows)


@given(rows_of_a_batch())
@settings(deadline=None)
def test_every_row_is_in_one_group_with_which_it_shares_the_prefix(rows: list[EncodedRow]) -> None:
    groups = group_by_prefix(rows)
    assert sorted(at for group in groups for at in group.rows) == list(range(len(rows)))
    for group in groups:
        members = [rows[at] for at in group.rows]
        assert len({row.ids[: group.prefix] for row in members}) == 1
        assert all(group.prefix < row.prompt_length for row in members)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """Every way to divide the items into sets."""
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for at, part in enumerate(rest):
            yield [*rest[:at], [items[0], *part], *rest[at + 1 :]]


@given(rows_of_a_batch(), st.integers(0, 4))
@settings(deadline=None)
def test_no_other_groups_cost_less(rows: list[EncodedRow], cost: int) -> None:
    def tokens(groups: list[tuple[int, list[int]]]) -> int:
        rests = sum(len(rows[at].ids) - prefix for prefix, members in groups for at in members)
        return rests + sum(prefix + cost for prefix, _ in groups)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "GROUP_COST", cost)
        found = tokens([(group.prefix, list(group.rows)) for group in group_by_prefix(rows)])
    ways = partitions(list(range(len(rows))))
    assert found == min(tokens([(shared_prefix_length([rows[at] for at in part]), part) for part in way]) for way in ways)


def test_rows_of_several_instructions_share_each_of_them_once() -> None:
    instructions = [tuple(range(kind * 100, kind * 100 + 60)) for kind in range(1, 4)]
    rows = [EncodedRow(str(at), (1, 2, *instructions[at % 3], 500 + at, 9, 8), 63, "") for at in range(12)]
    groups = group_by_prefix(rows)
    assert [(group.prefix, group.rows) for group in groups] == [(62, (at, at + 3, at + 6, at + 9)) for at in range(3)]
    assert collate_packed(rows)["input_ids"].shape == (1, 3 * 62 + 12 * 3)


@given(rows_of_a_batch())
@settings(deadline=None)
def test_every_target_is_predicted_once_from_the_token_before_it(rows: list[EncodedRow]) -> None:
    pack = collate_packed(rows)
    assert pack["labels"].tolist() == [token for row in rows for token in row.ids[row.prompt_length :]]
    before = [token for row in rows for token in row.ids[row.prompt_length - 1 : -1]]
    assert pack["input_ids"][0, pack["target_positions"]].tolist() == before
    assert len(set(pack["target_positions"].tolist())) == len(before)


@given(rows_of_a_batch())
@settings(deadline=None)
def test_every_token_sees_its_own_row_up_to_itself(rows: list[EncodedRow]) -> None:
    pack, groups = collate_packed(rows), group_by_prefix(rows)
    prefix_of = {at: group.prefix for group in groups for at in group.rows}
    mask, ids = dense_mask(pack["layout"]), pack["input_ids"][0]
    at = 0
    for prefix, row in [(0, rows[group.rows[0]].ids[: group.prefix]) for group in groups] + [
        (prefix_of[number], row.ids) for number, row in enumerate(rows)
    ]:
        for end in range(prefix + 1, len(row) + 1):
            assert ids[mask[at]].tolist() == list(row[:end])
            at += 1
    assert at == len(ids)


@given(rows_of_a_batch())
@settings(deadline=None)
def test_lines_see_what_the_dense_mask_says(rows: list[EncodedRow]) -> None:
    layout = collate_packed(rows)["layout"]
    mask = dense_mask(layout)
    (groups, longest), (lines, slots) = layout.heads_GP.shape, layout.rests_BR.shape
    assert (groups, lines) == (len(group_by_prefix(rows)), max(len(rows), 2))
    for token, flat in enumerate(layout.order_T.tolist()):
        if flat < groups * longest:
            line, slot = divmod(flat, longest)
            assert layout.heads_GP[line, slot] == token
            seen = layout.heads_GP[line, : slot + 1]
        else:
            line, slot = divmod(flat - groups * longest, slots)
            assert layout.rests_BR[line, slot] == token
            keys = torch.cat([layout.heads_GP[layout.group_B[line]], layout.rests_BR[line]])
            seen = keys[layout.visible_BRK.expand(lines, -1, -1)[line, slot]]
        assert sorted(seen.tolist()) == mask[token].nonzero().flatten().tolist()


@given(rows_of_a_batch())
@settings(deadline=None)
def test_padding_masks_everything_that_is_no_token(rows: list[EncodedRow]) -> None:
    batch = collate_padded(rows, pad_id=9)
    for line, row in enumerate(rows):
        assert batch["input_ids"][line, batch["attention_mask"][line].bool()].tolist() == list(row.ids)
        targets = [IGNORED] * row.prompt_length + list(row.ids[row.prompt_length :])
        assert batch["labels"][line].tolist() == targets + [IGNORED] * (batch["labels"].shape[1] - len(row.ids))
        assert (batch["input_ids"][line, len(row.ids) :] == 9).all()


@given(rows_of_a_batch())
@settings(deadline=None)
def test_of_padded_rows_the_states_that_predict_are_those_of_a_pack(rows: list[EncodedRow]) -> None:
    padded, pack = answers_only(collate_padded(rows)), collate_packed(rows)
    assert padded["labels"].tolist() == pack["labels"].tolist()
    picked = padded["input_ids"].flatten()[padded["target_positions"]]
    assert picked.tolist() == pack["input_ids"][0, pack["target_positions"]].tolist()


@given(rows_of_a_batch(), st.integers(1, 40), st.integers(0, 4))
@settings(deadline=None)
def test_cutting_a_batch_loses_no_row_and_keeps_the_budget(rows: list[EncodedRow], budget: int, cost: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "GROUP_COST", cost)
        packs, lines = split_into_packs(rows, budget), split_into_lines(rows, budget)
        assert all(len(pack) == 1 or collate_packed(pack)["input_ids"].numel() <= budget for pack in packs)
    assert sorted(row.example_id for pack in packs for row in pack) == [row.example_id for row in rows]
    assert [row for run in lines for row in run] == rows
    assert all(len(run) == 1 or collate_padded(run, 0)["input_ids"].numel() <= budget for run in lines)


@given(rows_of_a_batch())
@settings(deadline=None)
def test_a_batch_of_one_group_is_cut_in_order(rows: list[EncodedRow]) -> None:
    assert [row for pack in split_into_packs(rows, 10_000) for row in pack] == rows or len(group_by_prefix(rows)) > 1
