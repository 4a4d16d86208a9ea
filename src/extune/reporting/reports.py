"""A score becomes `report.json` (for programs), `report.md` (for a merge request) and `report.html` (for people).

In: any assessment with its documents, or the scores of several seeds. Out: the three files. It computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from extune.domain.annotation import Extraction, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import Assessment
from extune.evaluation.classification_metrics import ClassificationScore
from extune.evaluation.document_counts import count_each
from extune.evaluation.error_atlas import SEEN, ErrorAtlas, ErrorClass
from extune.evaluation.metrics import PRF, ExtractionScore, aggregate_scores
from extune.evaluation.record_metrics import RecordScore
from extune.evaluation.reliability import measure_reliability
from extune.evaluation.score import Score, name_figure
from extune.evaluation.type_confusion import TypeConfusion, confuse_types
from extune.reporting.background import Background
from extune.reporting.documents import ShownDocument, build_payload
from extune.reporting.matrix import Matrix, draw_labels, draw_types
from extune.reporting.page import make_title, write_report_files
from extune.reporting.views import build_view, show_figure

_MODES = {
    "strict": "start, end and type are those of a gold span",
    "text": "type and text are those of a gold span, wherever it stands",
    "partial": "same type; the same place counts 1, an overlap 1/2",
    "boundary": "start and end are those of a gold span, whatever its type",
}


def write_score_report(
    folder: Path,
    *,
    assessment: Assessment,
    meta: Mapping[str, object],
    documents: Sequence[tuple[Example, Prediction]] = (),
    background: Background | None = None,
) -> None:
    """Write the three files of one scored split.

    Args:
        folder: is created where it does not exist.
        assessment: the score and what it has to be read with.
        meta: JSON values, shown in this order; `run`, `split` and `engine` make the title, `test_set_hash` says which file.
        documents: every scored example with its prediction.
        background: of the run; None where nothing was trained, as for predictions that come from a file.
    """
    score, atlas, overlap = assessment.score, assessment.atlas, assessment.overlap
    reliability = measure_reliability(documents)
    confusion = confuse_types(atlas) if atlas else None
    content: dict[str, Any] = {
        "meta": dict(meta),
        "score": score.to_json(),
        "baselines": {name: one.to_json() for name, one in assessment.baselines.items()},
        **({"atlas": atlas.to_json()} if atlas else {}),
        **({"type_confusion": confusion.to_json()} if confusion else {}),
        "overlap": overlap and overlap.to_json(),
        "reliability": reliability and reliability.to_json(),
        "data": _describe_texts([example for example, _ in documents]),
    }
    payload = _build_payload(content["score"], assessment, documents)
    context = {
        "page": "report",
        "title": make_title(meta),
        "meta": dict(meta),
        "score": score,
        "view": build_view(score),
        "headline": name_figure(score.headline),
        "modes": _list_modes(score) if isinstance(score, ExtractionScore) else (),
        "baselines": dict(assessment.baselines),
        "figures": {name: show_figure(one.figures()[one.headline]) for name, one in assessment.baselines.items()},
        "overlap": overlap,
        "atlas": atlas,
        "classes": _list_classes(atlas),
        "seen_numbers": {name: number for number, name in enumerate(SEEN)},
        "type_numbers": {name: number for number, name in enumerate(payload["names"])},
        "confusion": _build_matrix(score, confusion, payload["names"]),
        "reliability": reliability,
        "data": content["data"],
        "background": background,
        "payload": payload,
    }
    write_report_files(folder, content, "report" if isinstance(score, ExtractionScore) else "answers", context)


def write_score_seed_report(folder: Path, *, scores: Mapping[str, Score], meta: Mapping[str, object]) -> None:
    """Write the three files of several trainings that differ in their seed: every figure with mean and deviation.

    Args:
        folder: is created where it does not exist.
        scores: by seed, at least one.
        meta: as in `write_score_report`.
    """
    figures = aggregate_scores(list(scores.values()))
    content = {
        "meta": dict(meta),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "seeds": {seed: score.to_json() for seed, score in scores.items()},
    }
    first = next(iter(scores.values()))
    context = {
        "page": "seeds",
        "title": make_title(meta),
        "meta": dict(meta),
        "figures": figures,
        "headline": name_figure(first.headline),
        "key": first.headline,
        "scores": scores,
        "background": None,
    }
    write_report_files(folder, content, "seeds", context)


def list_names(score: Score) -> tuple[str, ...]:
    """The types, fields or labels of a score, in its order."""
    if isinstance(score, ExtractionScore):
        return tuple(score.per_type)
    if isinstance(score, RecordScore):
        return tuple(score.fields)
    return tuple(score.per_label) if isinstance(score, ClassificationScore) else ()


def _build_payload(
    score: Mapping[str, Any], assessment: Assessment, documents: Sequence[tuple[Example, Prediction]]
) -> dict[str, Any]:
    examples, predictions = [example for example, _ in documents], [prediction for _, prediction in documents]
    counts = count_each(score, examples, predictions)
    shown = [
        ShownDocument(example, (prediction,), (count.is_exact,))
        for (example, prediction), count in zip(documents, counts, strict=True)
    ]
    leaked = frozenset(assessment.overlap.ids if assessment.overlap else ())
    names = list_names(assessment.score)
    return build_payload(shown, names, answers=["prediction"], atlases=[assessment.atlas], leaked=leaked)


def _build_matrix(score: Score, confusion: TypeConfusion | None, names: Sequence[str]) -> Matrix | None:
    if confusion is not None:
        return draw_types(confusion, names)
    if isinstance(score, ClassificationScore) and score.confusion:
        return draw_labels(score, names)
    return None


def _list_modes(score: ExtractionScore) -> list[tuple[str, str, PRF]]:
    """Name, definition and counts of the four ways to compare."""
    figures = (score.micro, score.text_strict, score.partial, score.boundary)
    return [(name, about, prf) for (name, about), prf in zip(_MODES.items(), figures, strict=True)]


def _list_classes(atlas: ErrorAtlas | None) -> list[ErrorClass]:
    """The classes of mistakes that occur."""
    return [kind for kind in ErrorClass if atlas and atlas.total.wrong.get(kind, 0) + atlas.total.missed.get(kind, 0)]


def _describe_texts(examples: Sequence[Example]) -> dict[str, Any]:
    """How many texts there are, how long they are, and how many have nothing annotated."""
    lengths = [len(example.text) for example in examples] or [0]
    return {
        "documents": len(examples),
        "characters": sum(lengths),
        "characters_mean": fmean(lengths),
        "characters_median": median(lengths),
        "characters_longest": max(lengths),
        "without_annotation": sum(_is_empty(example) for example in examples),
    }


def _is_empty(example: Example) -> bool:
    gold = example.gold
    if isinstance(gold, Extraction):
        return not gold.spans and not gold.ungrounded
    if isinstance(gold, Fields):
        return not any(gold.values.values())
    return isinstance(gold, Labels) and not gold.names
