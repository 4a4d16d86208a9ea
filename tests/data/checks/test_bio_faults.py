"""Faults of token-label columns, and which of them can be repaired."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.checks.doctored import TASK, DataSet, FakeTokenizing

from extune.data.checks.doctor import examine
from extune.data.checks.report import CheckReport
from extune.domain.annotation import Extraction
from extune.recipe.sections import DataSection

FAULTS = {  # sentence as tokens and labels: code, index of the token at fault, label after the repair (None: left alone)
    "starts": ("黄/I-中药 芪/I-中药 补/O 气/O", "illegal-bio", 0, "B-中药"),
    "behind a mark": ("服/O ，/O 黄/I-中药 芪/I-中药", "illegal-bio", 2, "B-中药"),
    "behind a word": ("服/O 黄/O 芪/I-中药 补/O", "illegal-bio", 2, None),
    "other type": ("黄/B-中药 芪/I-症状 补/O 气/O", "illegal-bio", 1, None),
    "full-width": ("胸/B-ＣＴ检查 部/I-CT检查", "name-variant", 0, "B-CT检查"),
    "typo": ("黄/B-种药 芪/I-中药", "name-typo", 0, None),
    "no label": ("黄/B-中药 芪/", "bad-row", 1, None),
    "unknown label": ("黄/X-中药 芪/O", "bad-row", 0, None),
}


def write(folder: Path) -> tuple[DataSection, dict[str, set[int]], dict[int, str]]:
    """Files with each fault once in train, behind clean sentences; expected lines by code; lines after the repair."""
    expected: dict[str, set[int]] = {}
    repaired: dict[int, str] = {}
    for split, rows in DataSet(1).rows.items():
        lines: list[str] = []
        for row in rows:
            labels = ["O"] * len(row["text"])
            for one in row["entities"]:
                labels[one["start"] : one["end"]] = [f"B-{one['type']}"] + [f"I-{one['type']}"] * (
                    one["end"] - one["start"] - 1
                )
            lines += [f"{token} {label}" for token, label in zip(row["text"], labels, strict=True)] + [""]
        for sentence, code, place, right in FAULTS.values() if split == "train" else ():
            expected.setdefault(code, set()).add(len(lines) + place + 1)
            tokens = [pair.split("/") for pair in sentence.split(" ")]
            if right is not None:
                repaired[len(lines) + place + 1] = f"{tokens[place][0]} {right}"
            lines += [f"{token} {label}".rstrip() for token, label in tokens] + [""]
        (folder / f"{split}.txt").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    return DataSection(**{split: str(folder / f"{split}.txt") for split in ("train", "dev", "test")}), expected, repaired


def run(data: DataSection, fix: Path | None = None) -> CheckReport:
    return examine(data, TASK, FakeTokenizing(), fix)


def test_faults_are_found_at_their_token(tmp_path: Path) -> None:
    data, expected, _ = write(tmp_path)
    assert {one.code: set(one.lines) for one in run(data)} == expected


def test_only_what_is_certain_is_repaired(tmp_path: Path) -> None:
    data, expected, repaired = write(tmp_path)
    before = (tmp_path / "train.txt").read_bytes()
    report = run(data, tmp_path / "fixed")
    assert (tmp_path / "train.txt").read_bytes() == before
    old = before.decode().split("\r\n")
    new = (tmp_path / "fixed" / "train.txt").read_bytes().decode().split("\r\n")
    assert {number: line for number, line in enumerate(new, 1) if line != old[number - 1]} == repaired
    changes = [json.loads(line) for line in report.fixes.log.read_text(encoding="utf-8").splitlines()]
    assert [change["line"] for change in changes] == sorted(repaired)
    assert report.fixes.counts == {"illegal-bio": 2, "name-variant": 1}
    left = {one.code: set(one.lines) for one in run(data.model_copy(update={"train": str(tmp_path / "fixed" / "train.txt")}))}
    assert left == {code: lines - set(repaired) for code, lines in expected.items() if lines - set(repaired)}


def test_a_repaired_entity_is_read(tmp_path: Path) -> None:
    from extune.data.readers import read_examples

    data, _, _ = write(tmp_path)
    run(data, tmp_path / "fixed")
    read = read_examples(tmp_path / "fixed" / "train.txt", task=TASK, on_bad_row="skip")
    spans = {example.text: example.gold.spans for example in read if isinstance(example.gold, Extraction)}
    assert [(one.start, one.end) for one in spans["黄芪补气"]] == [(0, 2)]
    assert [(one.start, one.end) for one in spans["服，黄芪"]] == [(2, 4)]
