"""What `--fix` changes in JSONL, and that it changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.checks.doctored import FAULTS, TASK, DataSet, FakeTokenizing

from extune.data.checks.doctor import examine
from extune.errors import DataError

FIXED = {"full-width name", "duplicate", "test in train", "dev in train"}


def test_copies_lack_what_can_be_fixed_and_nothing_else(tmp_path: Path) -> None:
    data = DataSet(11)
    for name in FAULTS:
        FAULTS[name](data, "train")
    section = data.write_jsonl(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    out = tmp_path / "fixed"
    report = examine(section, TASK, FakeTokenizing(), out)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    again = examine(section.model_copy(update={s: str(p) for s, p in report.fixes.files.items()}), TASK, FakeTokenizing())
    counts = {(one.code, one.split): one.count for one in report}
    for code, split in (("name-variant", "train"), ("duplicate", "train"), ("leak", "test"), ("leak", "dev")):
        assert counts.pop((code, split)) == 1
    assert {(one.code, one.split): one.count for one in again} == counts


def test_every_change_is_written_down(tmp_path: Path) -> None:
    data = DataSet(12)
    for name in sorted(FIXED):
        FAULTS[name](data, "train")
    section = data.write_jsonl(tmp_path)
    report = examine(section, TASK, FakeTokenizing(), tmp_path / "fixed")
    changes = [json.loads(line) for line in report.fixes.log.read_text(encoding="utf-8").splitlines()]
    assert {change["file"] for change in changes} == {section.train}
    old = Path(section.train).read_text(encoding="utf-8").split("\n")
    new = report.fixes.files["train"].read_text(encoding="utf-8").split("\n")
    by_line = {change["line"]: change["code"] for change in changes}
    assert sorted(by_line.values()) == ["duplicate", "leak", "leak", "name-variant"]
    kept = [(number, line) for number, line in enumerate(old, 1) if by_line.get(number) not in ("duplicate", "leak")]
    assert len(kept) == len(new)
    changed = [number for (number, line), copy in zip(kept, new, strict=True) if line != copy]
    assert changed == [number for number, code in by_line.items() if code == "name-variant"]
    (number,) = changed
    right = json.loads(old[number - 1].replace("ＣＴ", "CT"))
    assert json.loads(new[[one for one, _ in kept].index(number)]) == right


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    section = DataSet(13).write_jsonl(tmp_path)
    with pytest.raises(DataError, match="exists already"):
        examine(section, TASK, FakeTokenizing(), tmp_path)
