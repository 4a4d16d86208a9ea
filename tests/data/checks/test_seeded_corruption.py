"""Every injected fault is found at its line, and nothing else is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.checks.doctored import EVALUATION_FAULTS, FAULTS, TASK, DataSet, FakeTokenizing

from extune.data.checks.doctor import examine
from extune.data.checks.report import CheckReport
from extune.recipe.sections import DataSection


def run(data: DataSection) -> CheckReport:
    return examine(data, TASK, FakeTokenizing())


def found(report: CheckReport) -> dict[tuple[str, str], set[int]]:
    lines = {(one.code, one.split): set(one.lines) for one in report}
    assert all(len(one.lines) == one.count for one in report)
    return lines


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_reported_on_a_clean_set(tmp_path: Path, seed: int) -> None:
    assert run(DataSet(seed).write_jsonl(tmp_path)).findings == ()


@pytest.mark.parametrize("name", [*FAULTS, *EVALUATION_FAULTS])
def test_one_fault_is_found_where_it_is(tmp_path: Path, name: str) -> None:
    data = DataSet(3)
    (FAULTS | EVALUATION_FAULTS)[name](data, "dev")
    assert found(run(data.write_jsonl(tmp_path))) == data.expected


@pytest.mark.parametrize("seed", [4, 5])
def test_all_faults_at_once_are_found_where_they_are(tmp_path: Path, seed: int) -> None:
    data = DataSet(seed)
    for inject in EVALUATION_FAULTS.values():
        inject(data, "dev")
        inject(data, "test")
    for split in ("train", "dev", "test"):
        for inject in FAULTS.values():
            inject(data, split)
    assert found(run(data.write_jsonl(tmp_path))) == data.expected


def test_skipped_rows_are_warnings(tmp_path: Path) -> None:
    data = DataSet(6)
    for name in ("broken JSON", "misspelt name"):
        FAULTS[name](data, "train")
    section = data.write_jsonl(tmp_path)
    assert run(section).has_errors
    report = run(section.model_copy(update={"on_bad_row": "skip"}))
    assert {one.severity for one in report} == {"warning"}
    assert found(report) == data.expected


def test_quotations_are_short_and_never_a_whole_text(tmp_path: Path) -> None:
    data = DataSet(7)
    for name in ("duplicate", "test in train", "lost character", "nested", "contradiction"):
        FAULTS[name](data, "train")
    texts = {row["text"] for rows in data.rows.values() for row in rows}
    places = [place for finding in run(data.write_jsonl(tmp_path)) for place in finding.places]
    assert len(places) == 5
    for place in places:
        assert 0 < len(place.quote) <= 41
        assert place.quote not in texts
        assert any(text.startswith(place.quote.removesuffix("…")) for text in texts)


def test_a_limit_on_train_limits_the_findings(tmp_path: Path) -> None:
    data = DataSet(8)
    FAULTS["duplicate"](data, "train")  # the copy stands last
    report = run(data.write_jsonl(tmp_path).model_copy(update={"train_limit": 200}))
    assert report.findings == ()
    assert report.splits["train"].examples == 200


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    section = DataSet(9).write_jsonl(tmp_path)
    (tmp_path / "dev.jsonl").write_bytes(b"")
    (tmp_path / "test.jsonl").write_text("[{}]", encoding="utf-8")
    report = run(section.model_copy(update={"train": str(tmp_path / "nowhere.jsonl")}))
    assert {(one.code, one.split) for one in report} == {
        ("unreadable-file", "train"), ("no-examples", "dev"), ("unreadable-file", "test"),
    }  # fmt: skip
    assert report.has_errors
