"""Packs hold every token and every target of their rows, and let each token see exactly what it sees in its own row."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from extune.tokens.encode import EncodedRow
from extune.tokens.packing import (
    IGNORED,
    collate_packed,
    collate_padded,
    dense_mask,
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
def test_a_pack_is_the_shared_prefix_and_every_rest(rows: list[EncodedRow]) -> None:
    pack, prefix = collate_packed(rows), shared_prefix_length(rows)
    ids = [*rows[0].ids[:prefix], *(token for row in rows for token in row.ids[prefix:])]
    positions = [*range(prefix), *(at for row in rows for at in range(prefix, len(row.ids)))]
    assert pack["input_ids"].tolist() == [ids]
    assert pack["position_ids"].tolist() == [positions]


@given(rows_of_a_batch())
def test_the_prefix_is_shared_by_all_and_as_long_as_it_may_be(rows: list[EncodedRow]) -> None:
    prefix = shared_prefix_length(rows)
    assert len({row.ids[:prefix] for row in rows}) == 1
    assert all(prefix < row.prompt_length for row in rows)
    assert len({row.ids[: prefix + 1] for row in rows}) > 1 or prefix + 1 == min(row.prompt_length for row in rows)


@given(rows_of_a_batch())
def test_every_target_is_predicted_once_from_the_token_before_it(rows: list[EncodedRow]) -> None:
    pack = collate_packed(rows)
    assert pack["labels"].tolist() == [token for row in rows for token in row.ids[row.prompt_length :]]
    before = [token for row in rows for token in row.ids[row.prompt_length - 1 : -1]]
    assert pack["input_ids"][0, pack["target_positions"]].tolist() == before
    assert len(set(pack["target_positions"].tolist())) == len(before)


@given(rows_of_a_batch())
def test_every_token_sees_its_own_row_up_to_itself(rows: list[EncodedRow]) -> None:
    pack = collate_packed(rows)
    mask, ids = dense_mask(pack["layout"]), pack["input_ids"][0]
    at = prefix = pack["layout"].prefix
    for row in rows:
        for end in range(prefix + 1, len(row.ids) + 1):
            assert ids[mask[at]].tolist() == list(row.ids[:end])
            at += 1
    assert at == len(ids)


@given(rows_of_a_batch())
def test_lines_behind_the_prefix_see_what_the_dense_mask_says(rows: list[EncodedRow]) -> None:
    layout = collate_packed(rows)["layout"]
    mask = dense_mask(layout)
    lines, slots = layout.gather_BR.shape
    for order, flat in enumerate(layout.scatter_S.tolist()):
        line, slot = divmod(flat, slots)
        assert layout.gather_BR[line, slot] == layout.prefix + order
        keys = torch.cat([torch.arange(layout.prefix), layout.gather_BR[line]])
        assert set(keys[layout.visible_RK[slot]].tolist()) == set(mask[layout.prefix + order].nonzero().flatten().tolist())
    assert lines == len(rows)


@given(rows_of_a_batch())
def test_padding_masks_everything_that_is_no_token(rows: list[EncodedRow]) -> None:
    batch = collate_padded(rows, pad_id=9)
    for line, row in enumerate(rows):
        assert batch["input_ids"][line, batch["attention_mask"][line].bool()].tolist() == list(row.ids)
        targets = [IGNORED] * row.prompt_length + list(row.ids[row.prompt_length :])
        assert batch["labels"][line].tolist() == targets + [IGNORED] * (batch["labels"].shape[1] - len(row.ids))
        assert (batch["input_ids"][line, len(row.ids) :] == 9).all()


@given(rows_of_a_batch(), st.integers(1, 40))
def test_cutting_a_batch_keeps_every_row_in_order_and_the_budget(rows: list[EncodedRow], budget: int) -> None:
    packs, lines = split_into_packs(rows, budget), split_into_lines(rows, budget)
    assert [row for pack in packs for row in pack] == rows
    assert [row for run in lines for row in run] == rows
    assert all(len(pack) == 1 or collate_packed(pack)["input_ids"].numel() <= budget for pack in packs)
    assert all(len(run) == 1 or collate_padded(run, 0)["input_ids"].numel() <= budget for run in lines)
