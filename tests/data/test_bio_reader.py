"""Token-label columns: layouts, schemes, joining, and the error of each kind of wrong row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.readers import ReadResult, read_examples
from extune.domain.annotation import Extraction
from extune.domain.task import ClassificationTask, ExtractionTask
from extune.errors import DataError, RecipeError

TASK = ExtractionTask.model_validate({"types": {"中药": "", "方剂": ""}})
ROWS = "黄 B-中药\n芪 I-中药\n补 O\n气 O\n\n桂 B-方剂\n枝 I-方剂\n汤 I-方剂\n"
EXPECTED = [("黄芪补气", {(0, 2, "中药")}), ("桂枝汤", {(0, 3, "方剂")})]


def read(folder: Path, content: str | bytes, **settings: object) -> ReadResult:
    path = folder / "rows.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_examples(path, **settings)


def keys(result: ReadResult) -> list[tuple[str, set[tuple[int, int, str]]]]:
    return [(example.text, {span.key for span in example.gold.spans}) for example in result]


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        ROWS.removesuffix("\n"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace(" ", "\t"),
        ROWS.replace(" ", "   "),
        ROWS.replace(" ", " NN x "),
        ROWS.replace("\n\n", "\n \n\t\n\n") + "\n\n\n",
        "-DOCSTART- O\n\n" + ROWS,
        ROWS.replace("\n\n", "\n-DOCSTART- -X- O\n"),
        ROWS.replace("B-", "B_").replace("I-", "I_"),
        "\ufeff" + ROWS,
        ROWS.encode("gb18030"),
        ROWS.encode("utf-16"),
        ROWS.replace("芪 I", "芪 E").replace("汤 I", "汤 E"),
        ROWS.replace("枝 I", "枝 M").replace("芪 I", "芪 E").replace("汤 I", "汤 E"),
        ROWS.replace("芪 I", "芪 L").replace("汤 I", "汤 L"),
    ],
)
def test_every_layout_and_spelling_gives_the_same_examples(tmp_path: Path, content: str | bytes) -> None:
    assert keys(read(tmp_path, content, task=TASK)) == EXPECTED


@pytest.mark.parametrize(
    ("codec", "reported"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("utf-16", "utf-16")]
)
def test_the_encoding_is_detected_and_reported(tmp_path: Path, codec: str, reported: str) -> None:
    assert read(tmp_path, ROWS.encode(codec)).encoding == reported


def test_the_named_encoding_is_used(tmp_path: Path) -> None:
    result = read(tmp_path, ROWS.encode("gbk"), encoding="gbk")
    assert (result.encoding, keys(result)) == ("gbk", EXPECTED)


def test_a_mark_is_removed_although_the_named_encoding_keeps_it(tmp_path: Path) -> None:
    assert keys(read(tmp_path, "\ufeff" + ROWS, encoding="utf-8")) == EXPECTED


def test_ids_and_sources_count_from_one(tmp_path: Path) -> None:
    result = read(tmp_path, ROWS)
    assert [example.id for example in result] == ["rows-1", "rows-2"]
    assert [str(example.source) for example in result] == [f"{tmp_path / 'rows.txt'}:1", f"{tmp_path / 'rows.txt'}:6"]


@pytest.mark.parametrize("token", ["\u3000", " ", "\t", "\u00a0", "\u2028", "\u0085", "\x0c", "\ufeff"])
def test_a_blank_character_is_a_token_like_any_other(tmp_path: Path, token: str) -> None:
    result = read(tmp_path, f"黄 B-中药\n芪 I-中药\n{token} O\n好 O\n很 O\n好 O\n吃 O\n黄 O\n芪 O\n黄 O\n")
    assert keys(result) == [(f"黄芪{token}好很好吃黄芪黄", {(0, 2, "中药")})]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), min_size=1, max_size=30),
    separator=st.sampled_from([" ", "\t"]),
)
def test_any_text_written_by_characters_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, separator: str) -> None:
    # The first character keeps a text that begins with a byte order mark or a bracket out of this test.
    text = "字" + text
    content = "\n".join(f"{character}{separator}O" for character in text)
    result = read(tmp_path_factory.mktemp("any"), content, joiner="", encoding="utf-8", reader="bio")
    assert keys(result) == [(text, set())]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["EU", "rejects", "a", "German", "call", "."], "EU rejects a German call ."),
        (["我们", "使用", "iPhone", "手机", "，", "很", "好"], "我们使用iPhone手机，很好"),
        (["New", "York", "是", "城市"], "New York是城市"),
        (
            [*"1998年使用", "iPhone", "7", "，", *("好" * 17)],
            "1998年使用iPhone 7，" + "好" * 17,
        ),
        (list("abc"), "abc"),
        (["안녕", "세상"], "안녕 세상"),
    ],
)
def test_tokens_are_joined_as_they_are_written(tmp_path: Path, tokens: list[str], text: str) -> None:
    assert keys(read(tmp_path, "\n".join(f"{token}\tO" for token in tokens))) == [(text, set())]


def test_offsets_count_in_the_joined_text(tmp_path: Path) -> None:
    content = "Visit O\nNew B-LOC\nYork I-LOC\ntoday O\n"
    assert keys(read(tmp_path, content)) == [("Visit New York today", {(6, 14, "LOC")})]
    assert keys(read(tmp_path, content, joiner="--")) == [("Visit--New--York--today", {(7, 16, "LOC")})]


@pytest.mark.parametrize(
    ("labels", "entities", "scheme"),
    [
        ("B-X B-X I-X O B-Y", {(0, 1, "X"), (1, 3, "X"), (4, 5, "Y")}, "BIO"),
        ("B-X I-X B-Y I-Y", {(0, 2, "X"), (2, 4, "Y")}, "BIO"),
        ("I-X I-X O I-X B-X I-Y", {(0, 2, "X"), (3, 4, "X"), (4, 5, "X"), (5, 6, "Y")}, "IOB1"),
        ("B-X I-X S-Y O S-X", {(0, 2, "X"), (2, 3, "Y"), (4, 5, "X")}, "BIOS"),
        ("B-X E-X S-Y O B-X I-X E-X", {(0, 2, "X"), (2, 3, "Y"), (4, 7, "X")}, "BIOES"),
        ("B-X L-X U-Y O B-X I-X L-X", {(0, 2, "X"), (2, 3, "Y"), (4, 7, "X")}, "BIOES"),
        ("B-X M-X E-X B-X E-X", {(0, 3, "X"), (3, 5, "X")}, "BIOES"),
    ],
)
def test_schemes_are_detected(tmp_path: Path, labels: str, entities: set[tuple[int, int, str]], scheme: str) -> None:
    result = read(tmp_path, "\n".join(f"字 {label}" for label in labels.split()))
    assert keys(result)[0][1] == entities
    assert f"labels read as {scheme};" in result.notes[0]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("黄 O\n芪 I-中药\n", 2, "label 'I-中药' follows 'O'"),
        ("黄 I-中药\n", 1, "label 'I-中药' follows 'O'"),
        ("黄 B-中药\n芪 I-方剂\n", 2, "label 'I-方剂' follows 'B-中药'"),
        ("黄 B-中药\n芪 I-方剂\n枝 B-方剂\n", 2, "label 'I-方剂' follows 'B-中药'"),
        ("黄 S-中药\n芪 I-中药\n", 2, "label 'I-中药' follows 'S-中药'"),
        ("黄 B-中药\n芪 E-中药\n\n桂 B-方剂\n枝 O\n", 5, "the entity of type '方剂' before 'O' has no end"),
        ("黄 B-中药\n芪 E-中药\n\n桂 B-方剂\n", 4, "the entity of type '方剂' before 'O' has no end"),
        ("黄 B-中药\n芪 E-中药\n桂 E-中药\n", 3, "label 'E-中药' follows 'E-中药'"),
        ("黄 O\n芪 B-中要\n", 2, "unknown type '中要', did you mean '中药'?"),
        ("黄 O\n芪\n补 O\n", 2, "1 column(s): '芪'"),
        ("黄\n芪 O\n补 O\n", 1, "1 column(s): '黄'"),
        ("黄 O\n芪 NN O\n补 O\n", 2, "3 column(s)"),
        ("黄\tO\n芪 O\n补\tO\n", 2, "1 column(s): '芪 O'"),
        ("黄芪\n补气\n", 1, "1 column(s)"),
        ("黄 O\n芪 o\n", 2, "label 'o' is not understood"),
        ("黄 O\n芪 中药\n", 2, "label '中药' is not understood"),
        ("黄 O\n芪 B-\n", 2, "label 'B-' is not understood"),
    ],
)
def test_a_wrong_row_stops_with_its_line_or_is_skipped(tmp_path: Path, content: str, line: int, says: str) -> None:
    path = tmp_path / "rows.txt"
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, task=TASK)
    assert caught.value.where == f"{path}:{line}"
    assert says in caught.value.what
    assert caught.value.expected
    assert caught.value.fix
    good = "甲 O\n乙 O\n丙 O\n" if "\t" not in content else "甲\tO\n乙\tO\n丙\tO\n"
    result = read(tmp_path, good + "\n" + content + "\n" + good, task=TASK, on_bad_row="skip")
    assert result.examples[0].text == "甲乙丙"
    assert result.examples[-1].text == "甲乙丙"
    assert (line + 4, True) in [(skipped.line, says in skipped.reason) for skipped in result.skipped]
    assert result.examples[-1].id == f"rows-{len(result.examples) + len(result.skipped)}"


def test_without_a_task_every_type_is_accepted(tmp_path: Path) -> None:
    assert keys(read(tmp_path, "黄 B-任何\n")) == [("黄", {(0, 1, "任何")})]


def test_messages_do_not_carry_whole_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "病人主诉" * 200 + "\n")
    assert len(caught.value.render()) < 400


@pytest.mark.parametrize("content", ["", "\n\n \r\n", "\ufeff", "-DOCSTART- O\n"])
def test_a_file_without_examples_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path, content)


def test_skipping_everything_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of 2 rows can be read; line 1: "):
        read(tmp_path, "黄 I-中药\n\n芪 I-中药\n", on_bad_row="skip")


def test_a_missing_file_and_wrong_bytes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        read_examples(tmp_path / "none.txt")
    with pytest.raises(DataError, match="neither UTF-8 nor GB18030"):
        read(tmp_path, b"a O\n\xff\xff O\n")


def test_other_tasks_and_unknown_readers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'bio' reads entities"):
        read(tmp_path, ROWS, reader="bio", task=ClassificationTask(label_names=["a", "b"]))
    with pytest.raises(RecipeError, match="unknown reader 'conll'"):
        read(tmp_path, ROWS, reader="conll")


def test_gold_is_always_an_extraction(tmp_path: Path) -> None:
    assert read(tmp_path, "无 O\n").examples[0].gold == Extraction()
