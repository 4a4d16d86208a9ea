"""On flat data extune's scores equal seqeval's (strict, IOB2) and nervaluate's, wherever the definitions agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nervaluate.evaluator import Evaluator
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from extune.domain.annotation import Extraction, Span
from extune.evaluation.matching import compare_spans, sum_partial_credit
from extune.evaluation.metrics import PRF, ExtractionScore, score_extraction

_TYPES = ("A", "B", "C")
_LENGTH = 12
_TEXT = "甲乙丙丁戊己庚辛壬癸子丑"


@st.composite
def flat_extractions(draw: st.DrawFn) -> Extraction:
    """Spans in text order that never overlap, often adjacent."""
    cuts = sorted(draw(st.sets(st.integers(0, _LENGTH), max_size=8)))
    spans = []
    for start, end in pairwise(cuts):
        type_ = draw(st.sampled_from((*_TYPES, None)))
        if type_ is not None:
            spans.append(Span(type_, _TEXT[start:end], start, end))
    return Extraction(tuple(spans))


_corpora = st.lists(st.tuples(flat_extractions(), flat_extractions()), min_size=1, max_size=5)
Corpus = list[tuple[Extraction, Extraction]]


def _score(corpus: Corpus) -> ExtractionScore:
    gold = {str(number): pair[0] for number, pair in enumerate(corpus)}
    return score_extraction(gold, {str(number): pair[1] for number, pair in enumerate(corpus)}, _TYPES, resamples=0)


def _tags(extraction: Extraction) -> list[str]:
    tags = ["O"] * _LENGTH
    for span in extraction.spans:
        tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
    return tags


def _dicts(extraction: Extraction) -> list[dict[str, object]]:
    return [{"label": span.type, "start": span.start, "end": span.end - 1} for span in extraction.spans]


def _nervaluate(corpus: Corpus) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    gold, predicted = ([_dicts(pair[side]) for pair in corpus] for side in (0, 1))
    results = Evaluator(gold, predicted, tags=list(_TYPES), loader="dict").evaluate()
    return results["overall"], results["entities"]


def _agrees(ours: PRF, theirs: object) -> bool:
    names = ("precision", "recall", "f1")
    return _close([getattr(ours, name) for name in names], [getattr(theirs, name) for name in names])


def _close(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return all(math.isclose(one, other, abs_tol=1e-12) for one, other in zip(ours, theirs, strict=True))


def _has_spans(corpus: Corpus) -> bool:
    return any(extraction.spans for pair in corpus for extraction in pair)


@settings(max_examples=150, deadline=None)
@given(_corpora)
def test_strict_equals_seqeval(corpus: Corpus) -> None:
    assume(_has_spans(corpus))  # seqeval cannot average over no types
    gold, predicted = ([_tags(pair[side]) for pair in corpus] for side in (0, 1))
    report = classification_report(gold, predicted, output_dict=True, mode="strict", scheme=IOB2, zero_division=0)
    score = _score(corpus)
    rows = {name: [row["precision"], row["recall"], row["f1-score"], row["support"]] for name, row in report.items()}
    for name, prf in score.per_type.items():
        assert prf.is_empty == (name not in rows)
        assert prf.is_empty or _close([prf.precision, prf.recall, prf.f1, prf.tp + prf.fn], rows[name])
    micro = score.micro
    assert _close([micro.precision, micro.recall, micro.f1, score.gold_spans], rows["micro avg"])
    assert _close([score.macro], rows["macro avg"][2:3])


@settings(max_examples=150, deadline=None)
@given(_corpora)
def test_strict_and_boundary_equal_nervaluate(corpus: Corpus) -> None:
    assume(_has_spans(corpus))  # nervaluate gives 0 for nothing against nothing
    overall, entities = _nervaluate(corpus)
    score = _score(corpus)
    assert _agrees(score.micro, overall["strict"])
    assert _agrees(score.boundary, overall["exact"])
    for name, results in entities.items():
        assert _agrees(score.per_type[name], results["strict"])


@settings(max_examples=150, deadline=None)
@given(_corpora)
def test_partial_equals_nervaluate_summed_over_types(corpus: Corpus) -> None:
    """nervaluate's overall `partial` ignores types; extune's needs the same type, as nervaluate's does for each type."""
    _, entities = _nervaluate(corpus)
    credit = sum(results["partial"].correct + 0.5 * results["partial"].partial for results in entities.values())
    assert _score(corpus).partial.tp == credit


@settings(max_examples=150, deadline=None)
@given(_corpora, st.sampled_from(_TYPES))
def test_partial_of_one_type_equals_nervaluate(corpus: Corpus, type_: str) -> None:
    only = [tuple(Extraction(tuple(s for s in one.spans if s.type == type_)) for one in pair) for pair in corpus]
    assume(_has_spans(only))
    overall, _ = _nervaluate(only)
    assert _agrees(_score(only).partial, overall["partial"])


@settings(max_examples=150, deadline=None)
@given(flat_extractions(), flat_extractions())
def test_overlapping_pairs_are_at_least_nervaluates(gold: Extraction, predicted: Extraction) -> None:
    """`ent_type` pairs greedily with the nearest span; where no span overlaps two of its type there is no choice to make."""
    _, entities = _nervaluate([(gold, predicted)])
    comparison = compare_spans(gold, predicted)
    ours = 2 * sum_partial_credit(comparison) - len(comparison.found)
    theirs = sum(results["ent_type"].correct for results in entities.values())
    pairs = [(one, two) for one in gold.spans for two in predicted.spans if one.type == two.type and one.overlaps(two)]
    unambiguous = len({one for one, _ in pairs}) == len({two for _, two in pairs}) == len(pairs)
    assert ours == theirs if unambiguous else ours >= theirs
