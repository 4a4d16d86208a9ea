"""extune's own rows of every kind: they read as they were written, and a wrong row names its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.readers import read_examples
from extune.data.readers.own_rows import write_example
from extune.data.shortening import MARK, shorten_middle
from extune.domain.annotation import Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.errors import DataError, RecipeError

RECORD = RecordTask(fields={"药": RecordField(kind="verbatim"), "病程": RecordField(kind="enum", of=("急性",))})
CLASSES = ClassificationTask(label_names=["甲", "乙"])

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
names = st.lists(words.filter(bool), min_size=2, max_size=4, unique=True).map(tuple)
golds = st.one_of(
    st.dictionaries(words, st.one_of(words, st.lists(words).map(tuple))).map(Fields),
    st.lists(words).map(lambda labels: Labels(tuple(labels))),
    words.map(Answer),
    st.just(Extraction((Span("药", "文", 0, 1),))),
    st.just(Extraction((), (Mention("药", "黄芪"),))),
)


@settings(max_examples=50, deadline=None)
@given(
    gold=golds,
    instruction=st.none() | words,
    candidates=st.none() | names,
    history=st.lists(st.tuples(words, words), max_size=2).map(tuple),
    text=words,
)
def test_a_written_example_reads_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    gold: Fields | Labels | Answer | Extraction,
    instruction: str | None,
    candidates: tuple[str, ...] | None,
    history: tuple[tuple[str, str], ...],
    text: str,
) -> None:
    example = Example("id", "文" + text, gold, instruction, history, candidates)
    path = write(tmp_path_factory.mktemp("own"), write_example(example))
    result = read_examples(path, reader="rows")
    (row,) = result
    assert (row.id, row.text, row.gold, row.instruction, row.history, row.candidates) == (
        example.id, example.text, gold, instruction, history, candidates,
    )  # fmt: skip
    assert len(result.notes) == 1  # which columns were read; nothing was ignored, mended or dropped


def write(folder: Path, *rows: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("task", "row", "what"),
    [
        (RECORD, {"fields": {"病程": "慢性"}}, "field '病程' is '慢性'"),
        (RECORD, {"fields": {"药": [1]}}, "is of type list"),
        (RECORD, {"labels": "甲"}, "has no answer"),
        (CLASSES, {"labels": "丙"}, "'丙' is not in task.label_names"),
        (CLASSES, {"labels": ["甲", "乙"]}, "2 labels"),
        (ClassificationTask(), {"labels": "甲", "candidates": ["乙", "丙"]}, "'甲' is not in the row's candidates"),
        (CLASSES, {"labels": "甲", "candidates": ["甲", "甲"]}, "stands twice"),
        (CLASSES, {"labels": "甲", "candidates": ["甲"]}, "nothing to choose from"),
        (ClassificationTask(), {"labels": "甲"}, "no candidates"),
        (GenerationTask(), {"answer": ""}, "the answer is empty"),
        (GenerationTask(), {"answer": 3}, "is of type int"),
        (GenerationTask(), {"answer": "答", "history": [["问"]]}, "not a list of pairs"),
        (GenerationTask(), {"answer": "答", "instruction": 1}, "is of type int"),
    ],
)
def test_a_wrong_row_names_its_line(tmp_path: Path, task: Task, row: dict[str, object], what: str) -> None:
    good = {
        "record": {"fields": {}},
        "classification": {"labels": "甲", "candidates": ["甲", "乙"]},
        "generation": {"answer": "答"},
    }
    path = write(tmp_path, {"text": "用黄芪", **good[task.kind]}, {"text": "用黄芪", **row})
    with pytest.raises(DataError) as caught:
        read_examples(path, task=task)
    assert caught.value.where == f"{path}:2"
    assert what in caught.value.what
    skipped = read_examples(path, task=task, on_bad_row="skip")
    assert (len(skipped.examples), [row.line for row in skipped.skipped]) == (1, [2])


def test_a_row_without_a_task_is_of_the_kind_that_it_shows(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "用黄芪", "answer": "答", "more": 1})
    with pytest.raises(RecipeError, match="reads entities"):
        read_examples(path, reader="bio", task=GenerationTask())
    result = read_examples(path)
    assert result.examples[0].gold == Answer("答")
    assert "column 'more' ignored, 1 times" in result.notes


def test_mentions_without_place_stay_with_their_row_when_a_task_reads_it(tmp_path: Path) -> None:
    gold = Extraction((Span("药", "黄芪", 1, 3),), (Mention("药", "桂枝"),))
    path = write(tmp_path, write_example(Example("1", "用黄芪", gold)))
    result = read_examples(path, reader="rows", task=ExtractionTask(types=["药"]))
    assert result.examples[0].gold == gold
    assert not [note for note in result.notes if "ignored" in note]


@given(st.text(min_size=1, max_size=60), st.integers(1, 70))
def test_a_shortened_text_fits_and_is_as_long_as_possible(text: str, budget: int) -> None:
    def fits(piece: str) -> bool:
        return len(piece) <= budget

    shortened = shorten_middle(text, fits) if not fits(text) else text
    if shortened is None:
        assert budget <= len(MARK) or len(text) == 1
        return
    assert fits(shortened)
    if shortened != text:
        head, tail = shortened[: shortened.index(MARK)], shortened[shortened.index(MARK) + len(MARK) :]
        assert text.startswith(head)
        assert text.endswith(tail)


def test_no_character_is_parted_from_its_marks() -> None:
    text = "e\u0301" * 20
    for budget in range(10, 20):
        shortened = shorten_middle(text, lambda piece, budget=budget: len(piece) <= budget)
        assert shortened is not None
        head, tail = shortened.split(MARK)
        assert not head.endswith("e")
        assert tail == "" or tail.startswith("e")
