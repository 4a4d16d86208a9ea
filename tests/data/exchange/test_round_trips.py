"""What a format can hold comes back as it was; what it cannot hold is counted, whatever the text is made of."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompts.extraction_cases import annotated_texts, characters

from extune.data.readers import read_examples
from extune.data.readers.exchange import FOREIGN, WRITTEN, Export
from extune.domain.annotation import Annotation, Extraction, Labels, Mention, Span
from extune.domain.example import Example

HOLD_ALL_SPANS = ("extune", "label-studio", "prodigy", "doccano", "cluener", "cmeee", "uie")
COLUMNS = ("bio", "bioes", "conll")
NAMES = {"brat": "folder", "label-studio": "file.json", "cmeee": "file.json", **dict.fromkeys(COLUMNS, "file.txt")}
TEXT = "甲😀乙\r\n丙𠮷丁"  # code points 9, UTF-16 units 11


def write_and_read(name: str, export: Export) -> list[Example]:
    """The examples that come back, in file order."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / NAMES.get(name, "file.jsonl")
        for path, content in WRITTEN[name].render(out, export).items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        reader = "bio" if name in COLUMNS else "auto" if name == "extune" else name
        files = sorted(out.glob("*.txt")) if name == "brat" else [out]
        return [example for file in files for example in read_examples(file, reader=reader)]


@st.composite
def exports(draw: st.DrawFn) -> Export:
    """A few annotated texts, of which some may have no annotation, under ids of any kind."""
    rows = draw(st.lists(annotated_texts(), min_size=1, max_size=4))
    ids = draw(st.lists(st.text(characters, min_size=1, max_size=4), min_size=len(rows), max_size=len(rows), unique=True))
    golds = [draw(st.sampled_from([gold, gold, gold, None])) for _, _, gold in rows]
    return Export([Example(one, text, gold) for one, (_, text, _), gold in zip(ids, rows, golds, strict=True)])


def contents(examples: list[Example]) -> list[tuple[str, str, Annotation | None]]:
    return [(example.id, example.text, example.gold) for example in examples]


@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=40, deadline=None)
@given(export=exports())
def test_what_is_not_counted_as_lost_comes_back(name: str, export: Export) -> None:
    annotated = [one for one in export.examples if one.gold is not None and (one.text.strip() or name not in COLUMNS)]
    spans = [span for one in annotated if isinstance(one.gold, Extraction) for span in one.gold.spans]
    if not annotated or (name == "uie" and not spans):
        return  # a file with nothing in it
    back = write_and_read(name, export)
    if not export.losses.total:
        assert contents(back) == contents(list(export.examples))


@pytest.mark.parametrize("name", HOLD_ALL_SPANS)
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(annotated_texts(), min_size=1, max_size=3))
def test_nested_and_crossing_spans_of_any_text_are_held(name: str, rows: list[tuple[object, str, Extraction]]) -> None:
    examples = [Example(f"id-{number}", text, gold) for number, (_, text, gold) in enumerate(rows)]
    examples.append(Example("last", TEXT, Extraction((Span("型", "😀乙\r\n丙𠮷", 1, 7), Span("型", "𠮷", 6, 7)))))
    export = Export(examples)
    assert contents(write_and_read(name, export)) == contents(examples)
    assert export.losses.total == 0


@pytest.mark.parametrize("name", COLUMNS)
@settings(max_examples=60, deadline=None)
@given(row=annotated_texts())
def test_columns_keep_every_span_that_they_do_not_count(name: str, row: tuple[object, str, Extraction]) -> None:
    """Offsets stay too where only line breaks of the text change."""
    _, text, gold = row
    if not text.strip():
        return
    export = Export([Example("one", text, gold)])
    (back,) = write_and_read(name, export)
    lost = [note for note in export.losses.notes() if "span" in note or "type" in note]
    count = sum(int(note.split(" ")[0]) for note in lost)
    assert isinstance(back.gold, Extraction)
    assert len(back.gold.spans) == len(gold.spans) - count
    assert any("an id is lost" in note for note in export.losses.notes())
    if name != "conll":
        assert back.text == text.replace("\n", " ")
        assert {span.key for span in back.gold.spans} <= {span.key for span in gold.spans}


@settings(max_examples=60, deadline=None)
@given(row=annotated_texts())
def test_brat_keeps_every_span_that_it_does_not_count(row: tuple[object, str, Extraction]) -> None:
    _, text, gold = row
    export = Export([Example("one", text, gold)])
    (back,) = write_and_read("brat", export)
    assert back.text == text
    assert isinstance(back.gold, Extraction)
    assert set(back.gold.spans) <= set(gold.spans)
    assert len(back.gold.spans) == len(gold.spans) - export.losses.total


@pytest.mark.parametrize("name", [name for name, one in WRITTEN.items() if "classification" in one.kinds])
def test_classes_come_back(name: str) -> None:
    examples = [
        Example("1", TEXT, Labels(("好转", "复诊"))),
        Example("2", "乙", Labels(())),
        Example("3", "丙", Labels(("好转",))),
    ]
    export = Export(examples)
    assert contents(write_and_read(name, export)) == contents(examples)
    assert export.losses.total == 0


@pytest.mark.parametrize("name", WRITTEN)
def test_what_an_example_has_besides_is_counted(name: str) -> None:
    gold = Extraction((Span("药", "黄芪", 0, 2, 0.5),), (Mention("药", "人参"),))
    example = Example("x", "黄芪补气", gold, instruction="找药", candidates=("甲", "乙"), history=(("问", "答"),))
    export = Export([example])
    write_and_read(name, export)
    lost = " ".join(export.losses.notes())
    for word in ("instruction", "candidates", "history", "人参", "confidence"):
        assert (word in lost) == (name != "extune")


def test_a_label_studio_prediction_keeps_its_confidence() -> None:
    export = Export([Example("x", "黄芪", Extraction((Span("药", "黄芪", 0, 2, 0.5),)))], model="run")
    (content,) = WRITTEN["label-studio"].render(Path("a.json"), export).values()
    assert '"score": 0.5' in content
    assert '"model_version": "run"' in content
    assert export.losses.total == 0
    (back,) = write_and_read("label-studio", export)
    assert back.gold is None  # what a model predicted is nobody's gold


def test_every_reader_has_a_writer_and_a_name_in_the_recipe() -> None:
    from typing import get_args

    from extune.cli.convert_verb import WrittenName
    from extune.recipe.sections import ReaderName

    assert set(FOREIGN) <= set(WRITTEN)
    assert set(get_args(ReaderName)) == {"auto", "bio", "spans", "rows", *FOREIGN}
    assert get_args(WrittenName) == tuple(WRITTEN)
