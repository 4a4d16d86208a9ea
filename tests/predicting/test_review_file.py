"""What is kept and what is to review are together what was predicted, also after an interruption."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.data.writers import prediction_to_row, read_predictions, write_rows
from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.errors import DataError, EngineError
from extune.predicting.review_file import Review, ReviewSorter, require_files
from extune.predicting.sure import count_items, needs_review, split_prediction

TEXT = "甲乙丙丁"
SURENESS = st.one_of(st.none(), st.floats(0, 1))


def make_span(place: int, type: str, confidence: float | None) -> Span:
    return Span(type, TEXT[place], place, place + 1, confidence)


spans = st.lists(st.builds(make_span, st.integers(0, 3), st.sampled_from("AB"), SURENESS), unique_by=lambda one: one.key)
extractions = st.builds(Extraction, spans.map(tuple), st.lists(st.builds(Mention, st.just("A"), st.just("戊"))).map(tuple))
lists = st.lists(st.tuples(st.sampled_from("甲乙"), SURENESS), min_size=1, max_size=4)


@st.composite
def records(draw: st.DrawFn) -> Fields:
    values, confidences = {}, {}
    for name, pieces in draw(st.dictionaries(st.sampled_from("药症"), lists)).items():
        values[name], confidences[name] = tuple(one for one, _ in pieces), tuple(sure for _, sure in pieces)
    if draw(st.booleans()):
        values["论"], confidences["论"] = "急", (draw(SURENESS),)
    return Fields(values, confidences)


labels = st.lists(st.tuples(st.sampled_from("甲乙丙"), SURENESS), unique_by=lambda one: one[0]).map(
    lambda pairs: Labels(tuple(name for name, _ in pairs), tuple(sure for _, sure in pairs))
)


def list_items(annotation: Annotation) -> Counter[object]:
    if isinstance(annotation, Extraction):
        return Counter([*((one.key, one.confidence) for one in annotation.spans), *annotation.ungrounded])
    assert not isinstance(annotation, Answer)
    return Counter(annotation.items())


@given(st.one_of(extractions, records(), labels), st.floats(0, 1))
def test_the_two_parts_are_the_whole(annotation: Annotation, least: float) -> None:
    sure, unsure = split_prediction(Prediction("a", annotation, "raw"), least)
    assert list_items(sure.annotation) + list_items(unsure.annotation) == list_items(annotation)
    assert count_items(sure.annotation) + count_items(unsure.annotation) == count_items(annotation)
    assert needs_review(unsure) == (count_items(unsure.annotation) > 0)
    for item in list_items(sure.annotation):
        assert not isinstance(item, Mention)
        assert item[-1] is not None  # type: ignore[index]
        assert item[-1] >= least  # type: ignore[index]


@settings(max_examples=50)
@given(st.one_of(extractions, records(), labels))
def test_confidences_survive_the_file(annotation: Annotation) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.jsonl"
        write_rows(path, [prediction_to_row(Prediction("a", annotation, ""), TEXT)])
        found = read_predictions(path)["a"].annotation
    assert found == annotation
    assert list_items(found) == list_items(annotation)


def make_predictions() -> list[Prediction]:
    mentions = [(make_span(0, "A", 0.9),), (make_span(0, "A", 0.9), make_span(1, "B", 0.3)), (make_span(2, "A", 0.1),), ()]
    predictions = [Prediction(str(number), Extraction(found), "raw") for number, found in enumerate(mentions)]
    return [*predictions, Prediction("4", Extraction(), "", (Problem(ProblemKind.TOO_LONG),))]


def sort(review: Review, predictions: Iterable[Prediction], done: frozenset[str] = frozenset()) -> ReviewSorter:
    with ReviewSorter(review, done) as sorter:
        for prediction in predictions:
            sorter.keep(prediction, TEXT)
    return sorter


def read_ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_unsure_items_and_unreadable_answers_go_to_the_review(tmp_path: Path) -> None:
    review = Review(tmp_path / "review.jsonl", 0.5)
    sorter = sort(review, make_predictions())
    assert (sorter.sure, sorter.unsure, sorter.rows) == (2, 2, 3)
    assert read_ids(review.path) == ["1", "2", "4"]
    row = json.loads(review.path.read_text(encoding="utf-8").splitlines()[0])
    assert (row["text"], row["decoding"]["min_confidence"]) == (TEXT, 0.5)
    assert [(one["text"], one["confidence"]) for one in row["entities"]] == [("乙", 0.3)]


@pytest.mark.parametrize("written", range(6))
def test_an_interrupted_review_holds_every_row_once(written: int, tmp_path: Path) -> None:
    """The job ended after the review of prediction `written`, before its row in the output."""
    review = Review(tmp_path / "review.jsonl", 0.5)
    predictions = make_predictions()
    sort(review, predictions[:written])
    done = frozenset(one.example_id for one in predictions[: max(0, written - 1)])
    sort(review, [one for one in predictions if one.example_id not in done], done)
    assert read_ids(review.path) == ["1", "2", "4"]


def test_an_engine_without_log_probabilities_is_refused(tmp_path: Path) -> None:
    silent = replace(make_predictions()[1], annotation=Extraction((make_span(0, "A", None),)))
    with pytest.raises(EngineError, match="computes no log-probabilities"):
        sort(Review(tmp_path / "review.jsonl", 0.5), [silent])
    text_only = replace(silent, annotation=Fields({"论": "急"}, {"论": (None,)}))
    assert sort(Review(tmp_path / "review.jsonl", 0.5), [text_only]).unsure == 1


def test_files_of_another_split_are_refused(tmp_path: Path) -> None:
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("甲\n", encoding="utf-8")
    review = Review(tmp_path / "review.jsonl", 0.5)
    require_files(source, out, review)
    sure, unsure = split_prediction(make_predictions()[1], 0.5)
    write_rows(out, [prediction_to_row(sure, TEXT)])
    with pytest.raises(DataError, match="without this review"):
        require_files(source, out, review)
    write_rows(review.path, [prediction_to_row(unsure, TEXT)])
    require_files(source, out, review)
    for other in (None, replace(review, least=0.6)):
        with pytest.raises(DataError, match=r"with min-confidence 0\.5"):
            require_files(source, out, other)
    with pytest.raises(DataError, match="same file"):
        require_files(source, out, replace(review, path=out))
    with pytest.raises(DataError, match=r"no \.jsonl file"):
        require_files(source, tmp_path / "new.csv", replace(review, path=tmp_path / "review.csv"))
    write_rows(out, [prediction_to_row(make_predictions()[1], TEXT)])
    with pytest.raises(DataError, match="without a threshold"):
        require_files(source, out, review)
