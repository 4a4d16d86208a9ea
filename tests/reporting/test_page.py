"""A report says what was scored, shows what is wrong, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from extune.domain.annotation import Answer, Extraction, Mention, Span
from extune.domain.example import Example, Source
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.evaluation.metrics import ExtractionScore, score_extraction
from extune.reporting.page import SHOWN_DOCUMENTS, write_report, write_seed_report

_META = {
    "run": "tcm-ner",
    "split": "test",
    "engine": "scripted",
    "test_set_hash": "ab12",
    "seconds": 1.5,
    "versions": {"x": "1"},
}
_VOID = {"meta", "br"}


class _Reader(HTMLParser):
    """Collects the visible text, the marks and the addresses; refuses tags that are not properly nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.marked: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag == "mark":
            self.marked.append(f"{values.get('class')} {values.get('title', '')}")
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.text += data


def _document(
    text: str, gold: list[Span], predicted: list[Span], *, id_: str = "1", completion: str = "", **more: object
) -> tuple[Example, Prediction]:
    ungrounded = more.get("ungrounded", ())
    problems = more.get("problems", ())
    return (
        Example(id_, text, Extraction(tuple(gold)), source=Source("test.txt", 7)),
        Prediction(id_, Extraction(tuple(predicted), ungrounded), completion, problems),  # type: ignore[arg-type]
    )


def _score(documents: list[tuple[Example, Prediction]]) -> ExtractionScore:
    return score_extraction(
        {example.id: example.gold for example, _ in documents},  # type: ignore[misc]
        {prediction.example_id: prediction.annotation for _, prediction in documents},  # type: ignore[misc]
        ["药|材", "方", "<未见>"],
        {prediction.example_id: prediction.problems for _, prediction in documents},
    )


def _write(folder: Path, documents: list[tuple[Example, Prediction]], **more: ExtractionScore) -> _Reader:
    write_report(folder, score=_score(documents), meta=_META, documents=documents, baselines=more)
    return _Reader((folder / "report.html").read_text(encoding="utf-8"))


def _wrong(id_: str = "1") -> tuple[Example, Prediction]:
    gold = [Span("方", "桂枝汤", 1, 4), Span("药|材", "桂枝", 1, 3)]
    return _document("服桂枝汤<b>", gold, [gold[0], Span("方", "枝汤<", 2, 5)], id_=id_, completion="方：<script>")


def test_json_is_the_score_with_the_hash_of_the_test_set(tmp_path: Path) -> None:
    documents = [_wrong()]
    _write(tmp_path, documents, gazetteer=_score(documents))
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["meta"] == _META
    assert content["score"] == content["baselines"]["gazetteer"] == json.loads(json.dumps(_score(documents).to_json()))


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    page = _write(tmp_path, [_wrong()])
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not page.addresses
    assert page.tags.isdisjoint({"script", "link", "img", "b>"})
    assert not re.search(r"url\(|@import|https?:", source)
    assert '<html lang="en">' in source
    assert '<meta charset="utf-8">' in source
    assert "<未见>" in page.text
    assert "方：<script>" in page.text


def test_wrong_documents_show_what_was_found_missed_and_invented(tmp_path: Path) -> None:
    page = _write(tmp_path, [_wrong()])
    marked = [mark for mark in page.marked if "[" in mark]
    assert marked[:2] == ["found 方 [1, 4) found", "missed 药|材 [1, 3) missed"]
    assert all(mark == "spurious 方 [2, 5) spurious" for mark in marked[2:])
    assert "test.txt:7" in page.text


def test_notes_tell_what_no_mark_can_show(tmp_path: Path) -> None:
    problems = (Problem(ProblemKind.UNGROUNDED, "人参"), Problem(ProblemKind.CUT_OFF))
    page = _write(tmp_path, [_document("无药", [], [], ungrounded=(Mention("方", "人参"),), problems=problems)])
    notes = [line for line in page.text.split("\n") if line in {"not in the text: 人参 (方)", "cut_off", "ungrounded: 人参"}]
    assert notes == ["not in the text: 人参 (方)", "cut_off"]


def test_right_documents_are_not_listed(tmp_path: Path) -> None:
    span = Span("方", "桂枝汤", 0, 3)
    page = _write(tmp_path, [_document("桂枝汤", [span], [span])])
    assert "Documents with mistakes" not in page.text
    assert "None: every answer could be read" in page.text


def test_the_list_ends_and_says_how_many_there_are(tmp_path: Path) -> None:
    page = _write(tmp_path, [_wrong(str(number)) for number in range(SHOWN_DOCUMENTS + 5)])
    assert page.text.count("the model's answer") == SHOWN_DOCUMENTS
    assert f"The first {SHOWN_DOCUMENTS} of {SHOWN_DOCUMENTS + 5}." in page.text


def test_markdown_tables_stay_whole(tmp_path: Path) -> None:
    _write(tmp_path, [_wrong()], gazetteer=_score([_wrong()]))
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "# tcm-ner · test · scripted"
    assert any(line.startswith("| 药\\|材 | 1 | 0 | 0.0000 |") for line in lines)
    assert any(line.startswith("| <未见> | 0 | 0 | – |") for line in lines)
    assert "* test set hash: ab12" in lines
    assert "* versions: x 1" in lines


def test_a_lone_surrogate_can_be_reported(tmp_path: Path) -> None:
    page = _write(tmp_path, [_document("a\ud800b", [Span("方", "a", 0, 1)], [])])
    assert "b" in page.text


def test_no_documents_and_an_empty_score(tmp_path: Path) -> None:
    write_report(tmp_path, score=score_extraction({}, {}, []), meta={})
    assert "no interval" in _Reader((tmp_path / "report.html").read_text(encoding="utf-8")).text


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    wrong = (Example("1", "a", Answer("b")), Prediction("1", Answer("b"), "b"))
    with pytest.raises(TypeError, match="cannot show Answer"):
        write_report(tmp_path, score=score_extraction({}, {}, []), meta={}, documents=[wrong])


def test_several_seeds_give_mean_and_deviation(tmp_path: Path) -> None:
    span = Span("方", "桂枝汤", 0, 3)
    right, none = _score([_document("桂枝汤", [span], [span])]), _score([_document("桂枝汤", [span], [])])
    write_seed_report(tmp_path, scores={"1": right, "2": none}, meta=_META)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["figures"]["micro.f1"] == {"mean": 0.5, "deviation": pytest.approx(0.5**0.5), "count": 2}
    assert set(content["seeds"]) == {"1", "2"}
    for name in ("report.md", "report.html"):
        assert "0.5000 ± 0.7071" in (tmp_path / name).read_text(encoding="utf-8")
    _Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
