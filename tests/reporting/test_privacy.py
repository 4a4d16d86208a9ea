"""Absolute folders never leave the machine; everything else stays as it is."""

from __future__ import annotations

import pytest

from extune.reporting.privacy import hide_folders


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("/home/wang/data/test.txt", "…/test.txt"),
        ("/home/wang xiao/my data/test.txt", "…/test.txt"),
        ("C:\\Users\\wang\\test.txt", "…/test.txt"),
        ("data/test.txt", "data/test.txt"),
        ("sample:news/test.jsonl", "sample:news/test.jsonl"),
        (
            "train cannot be read (/home/wang xiao/train.txt: file not found)",
            "train cannot be read (…/train.txt: file not found)",
        ),
        ("see 'D:/x/y.txt' and https://example.org/a/b", "see '…/y.txt' and https://example.org/a/b"),
        ("黄芪30g/日，1/2", "黄芪30g/日，1/2"),
        ("/", "/"),
    ],
)
def test_a_path_keeps_its_last_part_only(written: str, shown: str) -> None:
    assert hide_folders(written) == shown
    assert hide_folders({"a": [written, 3, None]}) == {"a": [shown, 3, None]}
