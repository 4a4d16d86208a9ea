"""Items of which the model is not sure enough are left out, counted, and still there for a review."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from extune.data.writers import prediction_to_row, read_predictions, write_rows
from extune.domain.annotation import Annotation, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ExtractionTask
from extune.errors import DataError
from extune.evaluation.scoring import score_predictions
from extune.predicting.least_confidence import choose_min_confidence
from extune.predicting.open import build_predictor
from extune.predicting.review_file import Review
from extune.predicting.sure import count_items, leave_out, map_confidences
from extune.runs.contract import Contract
from extune.stages.predict import predict_file

TASK = ExtractionTask(types={"药": "", "症": ""})
TEXT = "甲乙丙丁"
spans = st.lists(
    st.builds(lambda at, type_, sure: Span(type_, TEXT[at], at, at + 1, sure), st.integers(0, 3), st.sampled_from(["药", "症"]),
              st.one_of(st.none(), st.floats(0, 1))),
    unique_by=lambda span: span.key,
)  # fmt: skip
annotations: st.SearchStrategy[Annotation] = st.one_of(
    st.builds(Extraction, spans.map(tuple), st.just((Mention("药", "戊"),))),
    st.floats(0, 1).map(lambda sure: Fields({"药": ("甲", "乙"), "论": "好"}, {"药": (sure, 0.5), "论": (None,)})),
    st.floats(0, 1).map(lambda sure: Labels(("甲",), (sure,))),
)


@given(annotations, st.floats(0, 1))
def test_what_is_left_out_is_counted_and_what_is_unknown_stays(annotation: Annotation, least: float) -> None:
    kept, left_out = leave_out(annotation, least)
    assert count_items(kept) + left_out == count_items(annotation)
    assert leave_out(kept, least) == (kept, 0)
    unknown, _ = leave_out(map_confidences(annotation, lambda _: 0.0), 1.0)
    assert count_items(unknown) == count_items(leave_out(annotation, 2.0)[0])  # the items without confidence
    assert leave_out(annotation, 0.0) == (annotation, 0)


@given(annotations)
def test_confidences_are_mapped_and_nothing_else(annotation: Annotation) -> None:
    assert map_confidences(annotation, lambda value: value / 2) == annotation
    assert map_confidences(map_confidences(annotation, lambda value: value / 2), lambda value: value * 2) == annotation


@settings(max_examples=25, deadline=None)  # each scores 31 times
@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=5))
def test_the_chosen_one_scores_best(pairs: list[tuple[list[Span], list[Span]]]) -> None:
    examples = [Example(str(number), TEXT, Extraction(tuple(gold))) for number, (gold, _) in enumerate(pairs)]
    predictions = [Prediction(str(number), Extraction(tuple(found)), "") for number, (_, found) in enumerate(pairs)]

    def score(least: float) -> float:
        kept = [replace(one, annotation=leave_out(one.annotation, least)[0]) for one in predictions]
        return score_predictions(TASK, examples, kept, resamples=0).dev_figures()["f1"]

    chosen = choose_min_confidence(TASK, examples, predictions, "loss")
    assert all(score(chosen) >= score(least) for least in (0.0, 0.1, 0.3, 0.6))
    assert chosen == 0 or score(chosen) > score(0)


@pytest.fixture
def run_with(
    base_model: object, tokenizer: PreTrainedTokenizerBase, make_contract: Callable[..., Contract]
) -> Callable[[float], object]:
    def run(least: float) -> object:
        return build_predictor(base_model, tokenizer, make_contract(max_answer_tokens=24, min_confidence=least))  # type: ignore[arg-type]

    return run


EXAMPLES = [Example("1", "黄芪30克，补气固表。"), Example("2", "患者咳嗽三天，予桂枝汤加减。")]


def test_the_predictor_leaves_out_what_the_contract_says(run_with: Callable[[float], object], tmp_path: Path) -> None:
    whole = list(run_with(0.0).predict_many(EXAMPLES))  # type: ignore[attr-defined]
    found = sorted(span.confidence for one in whole for span in one.annotation.spans)
    assert len(found) > 1
    least = found[1]
    kept = list(run_with(least).predict_many(EXAMPLES))  # type: ignore[attr-defined]
    assert sum(one.left_out for one in kept) == 1
    assert sorted(span.confidence for one in kept for span in one.annotation.spans) == found[1:]
    assert [one.completion for one in kept] == [one.completion for one in whole]
    rows = (prediction_to_row(one, example.text) for one, example in zip(kept, EXAMPLES, strict=True))
    write_rows(tmp_path / "p.jsonl", rows)
    assert [one.left_out for one in read_predictions(tmp_path / "p.jsonl").values()] == [one.left_out for one in kept]


def test_a_review_shows_what_would_be_left_out(run_with: Callable[[float], object], tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("".join(one.text + "\n" for one in EXAMPLES), encoding="utf-8")
    sorted_out = []
    for number, least in enumerate((0.0, 0.999)):
        review = Review(tmp_path / f"r{number}.jsonl", 0.9)
        done = predict_file(run_with(least), source, tmp_path / f"o{number}.jsonl", review=review)  # type: ignore[arg-type]
        sorted_out.append((done.sure, done.unsure))
    assert sorted_out[0] == sorted_out[1]
    assert sum(sorted_out[0]) > 0  # type: ignore[arg-type]


def test_a_damaged_count_is_told(tmp_path: Path) -> None:
    row = prediction_to_row(Prediction("a", Extraction(), "", left_out=1), TEXT)
    write_rows(tmp_path / "p.jsonl", [row | {"left_out": "some"}])
    with pytest.raises(DataError, match="left_out"):
        read_predictions(tmp_path / "p.jsonl")
