"""Rows that were stored are the rows that were encoded; what is damaged, foreign or stale is never taken."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.tokens import token_store
from extune.tokens.encode import EncodedRow
from extune.tokens.lengths import LengthReport
from extune.tokens.token_store import EncodedBatch, Totals, build_key, open_store, pack_rows, row_lengths, write_store

ROWS = st.lists(
    st.builds(
        EncodedRow,
        example_id=st.text(st.characters(), min_size=1),  # lone surrogates too
        ids=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9).map(tuple),
        prompt_length=st.integers(0, 9),
        text=st.text(st.characters()),
        offset=st.integers(0, 2**31 - 1),
    ),
    max_size=12,
)
SOME = [EncodedRow(f"例{number}", tuple(range(number + 2)), number + 1, "黄芪", number) for number in range(5)]


def in_batches(rows: Sequence[EncodedRow], size: int) -> list[EncodedBatch]:
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [EncodedBatch(pack_rows(part), LengthReport(len(part), (part[0].example_id,)), {"n": len(part)}) for part in parts]


def summarise(totals: Totals) -> dict[str, Any]:
    return {"kept": totals.lengths.kept, "dropped": list(totals.lengths.dropped), **totals.counts}


class Maker:
    """Gives the rows and counts how often it was asked."""

    def __init__(self, rows: Sequence[EncodedRow] = SOME) -> None:
        self.rows, self.calls = rows, 0

    def __call__(self) -> Iterator[EncodedBatch]:
        self.calls += 1
        return iter(in_batches(self.rows, 2))


@given(ROWS, st.integers(1, 5))
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[EncodedRow], size: int) -> None:
    root = tmp_path_factory.mktemp("store")
    store, _ = open_store(root, "key", lambda: in_batches(rows, size), summarise)
    assert list(store) == rows == store[:]
    assert list(row_lengths(store)) == [len(row.ids) for row in rows] == row_lengths(rows)
    assert store[-2:] == rows[-2:]
    assert store.summary.get("n", 0) == len(rows)
    with pytest.raises(IndexError):
        store[len(rows)]


def test_a_second_opening_encodes_nothing_and_says_the_same(tmp_path: Path) -> None:
    make = Maker()
    first, reused_first = open_store(tmp_path, "key", make, summarise)
    second, reused_second = open_store(tmp_path, "key", make, summarise)
    assert (reused_first, reused_second, make.calls) == (False, True, 1)
    assert list(first) == list(second) == SOME
    assert first.summary == second.summary == {"kept": 5, "dropped": ["例0", "例2", "例4"], "n": 5}


def damage_half(folder: Path) -> None:
    rows = folder / "rows.arrow"
    rows.write_bytes(rows.read_bytes()[: rows.stat().st_size // 2])


def damage_bit(folder: Path) -> None:
    content = bytearray((folder / "rows.arrow").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "rows.arrow").write_bytes(content)


def damage_foreign(folder: Path) -> None:
    write_store(folder, "another key", in_batches(SOME[:1], 1), summarise)


def damage_about(folder: Path) -> None:
    (folder / "store.json").write_text("[]", encoding="utf-8")


def damage_missing(folder: Path) -> None:
    (folder / "rows.arrow").unlink()


@pytest.mark.parametrize("damage", [damage_half, damage_bit, damage_foreign, damage_about, damage_missing])
def test_what_is_damaged_is_made_again_and_said(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()
    open_store(tmp_path, "key", make, summarise)
    damage(tmp_path / "key")
    store, reused = open_store(tmp_path, "key", make, summarise)
    assert list(store) == SOME
    assert (reused, make.calls) == (False, 2)
    assert "damaged" in caplog.text
    assert open_store(tmp_path, "key", make, summarise)[1]


def test_an_error_while_encoding_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Iterator[EncodedBatch]:
        yield from in_batches(SOME, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path, "key", fail, summarise)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert list(open_store(tmp_path, "key", Maker(), summarise)[0]) == SOME


def test_of_writers_at_the_same_time_one_encodes(tmp_path: Path) -> None:
    make, found = Maker(), list[Any]()
    threads = [threading.Thread(target=lambda: found.append(open_store(tmp_path, "key", make, summarise))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.calls == 1
    assert sorted(reused for _, reused in found) == [False, True, True, True]
    assert all(list(store) == SOME for store, _ in found)


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, key in enumerate(("old", "mid", "new")):
        open_store(tmp_path, key, Maker(), summarise)
        os.utime(tmp_path / key, (number, number))
    open_store(tmp_path, "old", Maker(), summarise)  # is used again
    size = sum(file.stat().st_size for file in (tmp_path / "new").iterdir())
    abandoned = tmp_path / ".torn"
    abandoned.mkdir()
    (abandoned / "rows.arrow").touch()
    os.utime(abandoned / "rows.arrow", (0, 0))
    monkeypatch.setattr(token_store, "MOST_BYTES", 3 * size)
    open_store(tmp_path, "end", Maker(), summarise)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"new", "end", "old"}


def test_only_the_user_may_look_into_the_folder(tmp_path: Path) -> None:
    open_store(tmp_path / "tokens", "key", Maker(), summarise)
    assert (tmp_path / "tokens").stat().st_mode & 0o077 == 0


def test_everything_that_shapes_rows_is_in_the_key(
    make_contract: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text("{}", encoding="utf-8")
    data = {"bytes": "a", "section": {}}
    contract = make_contract()
    key = build_key(contract, [file], data)
    same = [{"name": "x"}, {"base_hash": "x"}, {"dtype": "bfloat16"}, {"weights": "adapter"}]
    assert {build_key(make_contract(**change), [file], data) for change in same} == {key}
    other = [
        {"format_version": 99}, {"prompt_version": 99}, {"chat_template": "x"}, {"max_input_tokens": 99}, {"language": "en"},
        {"max_answer_tokens": 99}, {"on_too_long": "drop"}, {"window_overlap": 99}, {"stop_token_ids": (99,)},
        {"tokenizer_hash": "x"}, {"task": contract.task.model_copy(update={"types": {"药": ""}})}, {"format": "pairs"},
    ]  # fmt: skip
    keys = [key, *(build_key(make_contract(**change), [file], data) for change in other)]
    keys.append(build_key(contract, [file], data | {"bytes": "b"}))
    file.write_text("{} ", encoding="utf-8")
    keys.append(build_key(contract, [file], data))
    monkeypatch.setattr(token_store, "_hash_code", lambda: "other sources")
    keys.append(build_key(contract, [file], data))
    assert len(set(keys)) == len(keys)


def test_a_summary_is_json(tmp_path: Path) -> None:
    open_store(tmp_path, "key", Maker(), summarise)
    assert json.loads((tmp_path / "key" / "store.json").read_text(encoding="utf-8"))["summary"]["kept"] == 5
