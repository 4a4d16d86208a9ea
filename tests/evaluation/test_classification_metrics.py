"""Classes: the figures of scikit-learn, and answers without a label are wrong, never left out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.preprocessing import MultiLabelBinarizer

from extune.domain.annotation import Labels
from extune.domain.example import Example
from extune.domain.prediction import Problem, ProblemKind
from extune.evaluation.baselines import MajorityClass
from extune.evaluation.classification_metrics import INVALID, ClassificationScore, score_classification

NAMES = ("科技", "体育", "财经")
one_label = st.sampled_from(NAMES)
answers = st.sampled_from([*NAMES, INVALID])
label_sets = st.sets(one_label)


def score(gold: list[Labels], predicted: list[Labels], **more: object) -> ClassificationScore:
    def by_id(annotations: list[Labels]) -> dict[str, Labels]:
        return {str(number): annotation for number, annotation in enumerate(annotations)}

    return score_classification(by_id(gold), by_id(predicted), NAMES, resamples=0, **more)  # type: ignore[arg-type]


def labels(name: str) -> Labels:
    return Labels((name,) if name else ())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(one_label, answers), min_size=1, max_size=12))
def test_one_label_as_scikit_learn_counts(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = map(list, zip(*pairs, strict=True))
    result = score([labels(name) for name in gold], [labels(name) for name in predicted])
    occurring = sorted({*gold, *predicted} - {INVALID})
    assert result.accuracy == pytest.approx(sklearn_metrics.accuracy_score(gold, predicted))
    assert result.micro.f1 == pytest.approx(result.accuracy)
    macro = sklearn_metrics.f1_score(gold, predicted, labels=occurring, average="macro", zero_division=0)
    assert result.macro == pytest.approx(macro)
    assert result.mcc == pytest.approx(sklearn_metrics.matthews_corrcoef(gold, predicted))
    assert result.invalid == predicted.count(INVALID)
    assert sum(count for row in result.confusion.values() for count in row.values()) == len(pairs)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(label_sets, label_sets), min_size=1, max_size=12))
def test_several_labels_as_scikit_learn_counts(pairs: list[tuple[set[str], set[str]]]) -> None:
    result = score(
        [Labels(tuple(sorted(gold))) for gold, _ in pairs],
        [Labels(tuple(sorted(found))) for _, found in pairs],
        multi_label=True,
    )
    binarizer = MultiLabelBinarizer(classes=NAMES)
    gold, found = (binarizer.fit_transform(column) for column in zip(*pairs, strict=True))
    assert result.accuracy == pytest.approx(sklearn_metrics.accuracy_score(gold, found))
    if gold.any() or found.any():
        assert result.micro.f1 == pytest.approx(sklearn_metrics.f1_score(gold, found, average="micro", zero_division=0))
    assert result.mcc == pytest.approx(sklearn_metrics.matthews_corrcoef(gold.ravel(), found.ravel()))


def test_pieces_that_became_no_label_are_wrong_predictions() -> None:
    problems = {"0": [Problem(ProblemKind.UNKNOWN_TYPE)]}
    result = score([Labels(("科技",))], [Labels(("科技",))], problems=problems, multi_label=True)
    assert (result.micro.tp, result.micro.fp) == (1, 1)


def test_the_majority_class_obeys_candidates() -> None:
    train = [
        Example(str(number), "文", Labels((name,))) for number, name in enumerate(["体育", "科技", "体育", "财经", "财经"])
    ]
    majority = MajorityClass.fit(train)
    assert majority.predict(Example("a", "文")) == Labels(("体育",))
    assert majority.predict(Example("a", "文", candidates=("科技", "财经"))) == Labels(("财经",))
    assert majority.predict(Example("a", "文", candidates=("新", "旧"))) == Labels(("新",))
