"""`extune check` of a recipe whose dev set is a part of the training file."""

from __future__ import annotations

import json
from pathlib import Path

from extune.recipe.load import recipe_from_values
from extune.runs.manifest import hash_data
from extune.stages.check import check


def test_a_part_is_checked_like_a_file_of_its_own(tmp_path: Path) -> None:
    rows = [{"text": f"第{number}味黄芪", "answer": "黄芪_药"} for number in range(40)]
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    data = {"train": str(path), "answer_format": "pairs", "split": {"dev": 8, "test": 0.2}}
    report = check(recipe_from_values({"task": {"kind": "extraction", "types": ["药"]}, "data": data}))
    assert report.findings == ()
    assert {facts.file for facts in report.splits.values()} == {str(path)}
    assert report.splits["dev"].examples == 8
    assert sum(facts.counts["药"] for facts in report.splits.values()) == 40


def test_a_folder_has_a_hash_that_its_files_decide(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}")
    before = hash_data(tmp_path)
    (tmp_path / "b.jsonl").write_text("{}")
    assert before != hash_data(tmp_path)
