"""Examples that are read one after the other are those that are read whole, and so is what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extune.data.readers.ids_on_disk import IdsOnDisk
from extune.data.split_reading import SplitReading
from extune.data.splits import read_split
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.recipe.sections import DataSection, SplitSection

TASK = ExtractionTask(types={"药": ""})
GOOD = '{"text": "黄芪", "entities": [{"start": 0, "end": 2, "type": "药"}], "note": 1}\n'
MANY = "".join(GOOD.replace('黄芪"', f'黄芪{number}"') for number in range(12))
FILES = {
    "rows.jsonl": MANY + "no\n" + '{"text": "归", "entities": [{"start": [0], "end": [1], "type": "药"}]}\n',
    "rows.txt": "黄 B-药\n芪 I-药\n\n当 B-药\n归 I-药\n\n归 I-X\n\n归 O\n",
    "rows.json": "[" + MANY.strip().replace("\n", ",") + "]",
}


@pytest.mark.parametrize("settings", [{}, {"train_limit": 2}, {"split": SplitSection(dev=0.5)}], ids=str)
@pytest.mark.parametrize("name", FILES)
def test_a_reading_says_what_a_whole_reading_says(tmp_path: Path, name: str, settings: dict[str, object]) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    data = DataSection.model_validate({"train": str(path), "on_bad_row": "skip", **settings})
    if name == "rows.txt" and data.split is not None:
        data = data.model_copy(update={"split": SplitSection(dev=1)})
    whole, reading = read_split(data, "train", TASK), SplitReading(data, "train", TASK)
    for _ in range(2):
        assert tuple(reading) == whole.examples
        assert (reading.encoding, reading.notes) == (whole.encoding, whole.notes)
        assert (reading.skipped, tuple(reading.first_skipped)) == (len(whole.skipped), whole.skipped)


@pytest.mark.parametrize("on_bad_row", ["error", "skip"])
@pytest.mark.parametrize("content", ["no\n", "", GOOD + "no\n", '{"id": 1, "text": "", "entities": []}\n' * 2])
def test_the_same_errors_are_raised(tmp_path: Path, content: str, on_bad_row: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    data = DataSection.model_validate({"train": str(path), "on_bad_row": on_bad_row})
    outcomes = []
    for read in (lambda: read_split(data, "train", TASK).examples, lambda: tuple(SplitReading(data, "train", TASK))):
        try:
            outcomes.append(read())
        except DataError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@given(st.lists(st.tuples(st.text(st.characters()), st.integers(0, 2**40))))
def test_ids_on_disk_are_a_dictionary(pairs: list[tuple[str, int]]) -> None:
    there, here = IdsOnDisk(), dict[str, int]()
    for key, line in pairs:
        assert (key in there) == (key in here)
        there[key] = here[key] = line
    assert dict(there) == here
    assert len(there) == len(here)
    for key in list(here):
        del there[key]
        with pytest.raises(KeyError):
            there[key]
