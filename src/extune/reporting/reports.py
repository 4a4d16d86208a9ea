"""Which report a score gets: spans have a page of their own; records, classes and answers share one.

In: any assessment, or the scores of several seeds. Out: the files of its kind's report. It computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import Assessment
from extune.evaluation.metrics import ExtractionScore
from extune.evaluation.score import Score
from extune.reporting.answers import write_answer_report, write_answer_seed_report
from extune.reporting.page import write_report, write_seed_report


def write_score_report(
    folder: Path,
    *,
    assessment: Assessment,
    meta: Mapping[str, object],
    documents: Sequence[tuple[Example, Prediction]] = (),
) -> None:
    """Write the three files of one scored split; see `page.write_report` and `answers.write_answer_report`."""
    score, overlap = assessment.score, assessment.overlap
    if isinstance(score, ExtractionScore):
        baselines, atlas = _spans_only(assessment.baselines), assessment.atlas
        write_report(folder, score=score, meta=meta, documents=documents, baselines=baselines, atlas=atlas, overlap=overlap)
    else:
        write_answer_report(
            folder, score=score, meta=meta, documents=documents, baselines=assessment.baselines, overlap=overlap
        )


def write_score_seed_report(folder: Path, *, scores: Mapping[str, Score], meta: Mapping[str, object]) -> None:
    """Write the three files of several trainings that differ in their seed."""
    of_spans = _spans_only(scores)
    if of_spans:
        write_seed_report(folder, scores=of_spans, meta=meta)
    else:
        write_answer_seed_report(folder, scores=scores, meta=meta)


def _spans_only(scores: Mapping[str, Score]) -> dict[str, ExtractionScore]:
    return {name: score for name, score in scores.items() if isinstance(score, ExtractionScore)}
