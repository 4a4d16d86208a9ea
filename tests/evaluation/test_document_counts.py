"""Counts of single documents add up to the headline of every kind of task, and to the matrix and the bins of a report."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.domain.annotation import Annotation, Answer, Extraction, Fields, Labels, Mention, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, Problem, ProblemKind
from extune.domain.task import ClassificationTask, ExtractionTask, GenerationTask, RecordField, RecordTask, Task
from extune.evaluation.assessment import assess
from extune.evaluation.document_counts import count_each
from extune.evaluation.metrics import PRF
from extune.evaluation.scoring import score_predictions
from extune.evaluation.type_confusion import MISSED, NO_TYPE, SPURIOUS, confuse_types

TEXT = "甲乙丙丁戊己"
SPANS = ExtractionTask(types=["A", "B", "C"])
RECORD = RecordTask(
    fields={name: RecordField(kind=kind, of=("x",)) for name, kind in (("a", "verbatim"), ("b", "enum"), ("c", "text"))}  # type: ignore[arg-type]
)
ONE, MANY = ClassificationTask(label_names=["A", "B", "C"]), ClassificationTask(label_names=["A", "B", "C"], multi_label=True)
TASKS: list[Task] = [SPANS, RECORD, ONE, MANY, GenerationTask()]
_name = st.sampled_from("ABC")
_words = st.text(alphabet="甲乙丙 ", max_size=4)


@st.composite
def _extractions(draw: st.DrawFn) -> Extraction:
    keys = draw(st.sets(st.tuples(st.integers(0, 5), st.integers(1, 3), _name), max_size=4))
    spans = tuple(Span(name, TEXT[start : start + size], start, min(start + size, 6)) for start, size, name in keys)
    distinct = {span.key: span for span in spans}
    return Extraction(tuple(distinct.values()), tuple(draw(st.lists(st.builds(Mention, _name, st.just("外")), max_size=1))))


def _annotations(task: Task, *, is_gold: bool) -> st.SearchStrategy[Annotation]:
    if isinstance(task, ExtractionTask):
        return _extractions()
    if isinstance(task, RecordTask):
        values = {"a": st.lists(_words.filter(bool), max_size=3).map(tuple), "b": st.just("x"), "c": _words}
        return st.fixed_dictionaries({}, optional=values).map(Fields)  # type: ignore[arg-type]
    if isinstance(task, ClassificationTask):
        least, most = (0, 3) if task.multi_label else (int(is_gold), 1)
        return st.lists(_name, min_size=least, max_size=most, unique=True).map(lambda names: Labels(tuple(names)))
    return _words.map(Answer)


@st.composite
def _cases(draw: st.DrawFn, tasks: list[Task]) -> tuple[Task, list[Example], list[Prediction]]:
    task = draw(st.sampled_from(tasks))
    examples, predictions = [], []
    for number in range(draw(st.integers(1, 5))):
        problems = draw(st.lists(st.sampled_from(list(ProblemKind)).map(Problem), max_size=2))
        examples.append(Example(str(number), TEXT, draw(_annotations(task, is_gold=True))))
        predictions.append(Prediction(str(number), draw(_annotations(task, is_gold=False)), "", tuple(problems)))
    return task, examples, predictions


def _add(counts: list[PRF]) -> PRF:
    return PRF(*(sum(getattr(one, name) for one in counts) for name in ("tp", "fp", "fn")))


@settings(max_examples=80, deadline=None)
@given(_cases(TASKS))
def test_documents_add_up_to_the_score(case: tuple[Task, list[Example], list[Prediction]]) -> None:
    task, examples, predictions = case
    score = score_predictions(task, examples, predictions, resamples=0)
    content = json.loads(json.dumps(score.to_json()))
    counts = count_each(content, examples, predictions)
    assert _add([one.total for one in counts]).f1 == pytest.approx(score.figures()[score.headline])
    for key in ("per_type", "fields", "per_label"):
        for name, figures in content.get(key, {}).items():
            group = _add([one.groups[name] for one in counts if name in one.groups])
            assert [group.tp, group.fp, group.fn] == pytest.approx([figures[part] for part in ("tp", "fp", "fn")])
    if "exact_documents" in content:
        assert sum(one.is_exact for one in counts) == content["exact_documents"]
    elif not isinstance(task, ClassificationTask) or not task.multi_label:
        assert sum(one.is_exact for one in counts) / len(counts) == pytest.approx(content["accuracy"])


@settings(max_examples=80, deadline=None)
@given(_cases([SPANS]))
def test_the_matrix_holds_all_gold_and_all_predictions(case: tuple[Task, list[Example], list[Prediction]]) -> None:
    task, examples, predictions = case
    score = score_predictions(task, examples, predictions, resamples=0)
    atlas = assess(score, task, examples, predictions).atlas
    assert atlas is not None
    confusion = confuse_types(atlas)
    columns, rows = confusion.header(), dict(confusion.rows())
    for name, figures in score.to_json()["per_type"].items():
        row = rows.get(name, ())
        assert sum(row) == figures["tp"] + figures["fn"]
        predicted = sum(counts[columns.index(name)] for counts in rows.values()) if name in columns else 0
        assert predicted == figures["tp"] + figures["fp"]
    wrong = atlas.total.prf
    found = sum(sum(counts) for counts in rows.values())
    paired = sum(mistake.partner is not None for mistake in atlas.mistakes) // 2
    assert found == wrong.tp + wrong.fp + wrong.fn - paired
    assert {MISSED} <= set(columns) <= {*"ABC", MISSED, NO_TYPE}
    assert list(rows)[-1] == SPURIOUS
