"""The three files of a scored split of records, classes or answers: `report.json`, `report.md`, `report.html`.

In: scores, what is known about the run, the documents. Out: files. It computes no score. Spans have a page of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from extune.domain.annotation import Annotation, Answer, Fields, Labels
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import Overlap
from extune.evaluation.metrics import aggregate_scores
from extune.evaluation.score import Score, name_figure
from extune.reporting.page import SHOWN_DOCUMENTS, make_title, write_files
from extune.reporting.views import build_view, show_figure


@dataclass(frozen=True)
class Difference:
    """One line of a document's comparison: a field, or the whole answer."""

    name: str
    gold: str
    predicted: str

    @property
    def is_wrong(self) -> bool:
        """True where the two differ."""
        return self.gold != self.predicted


@dataclass(frozen=True)
class WrongAnswer:
    """What the page shows of a document that is not entirely right."""

    id: str
    source: str
    text: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    completion: str


def write_answer_report(
    folder: Path,
    *,
    score: Score,
    meta: Mapping[str, object],
    documents: Sequence[tuple[Example, Prediction]] = (),
    baselines: Mapping[str, Score] | None = None,
    overlap: Overlap | None = None,
) -> None:
    """Write the three files of one scored split.

    Args:
        folder: is created where it does not exist.
        score: of the split.
        meta: JSON values, shown in this order; `run`, `split` and `engine` make the title.
        documents: every scored example with its prediction; the page lists the first that are wrong.
        baselines: scores to compare with, by name.
        overlap: test documents that stand in train.
    """
    others = dict(baselines or {})
    wrong = [answer for answer in (_judge(*pair) for pair in documents) if answer is not None]
    content = {
        "meta": dict(meta),
        "score": score.to_json(),
        "baselines": {name: one.to_json() for name, one in others.items()},
        "overlap": overlap and overlap.to_json(),
    }
    figures = {name: show_figure(one.figures()[one.headline]) for name, one in others.items()}
    context = {
        "title": make_title(meta),
        "meta": meta,
        "score": score,
        "view": build_view(score),
        "baselines": figures,
        "headline": name_figure(score.headline),
        "overlap": overlap,
        "wrong": wrong[:SHOWN_DOCUMENTS],
        "wrong_count": len(wrong),
    }
    write_files(folder, content, "answers", context)


def write_answer_seed_report(folder: Path, *, scores: Mapping[str, Score], meta: Mapping[str, object]) -> None:
    """Write the three files of several trainings that differ in their seed: every figure with mean and deviation.

    Args:
        folder: is created where it does not exist.
        scores: by seed, at least one.
        meta: as in `write_answer_report`.
    """
    figures = aggregate_scores(list(scores.values()))
    content = {
        "meta": dict(meta),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "seeds": {seed: score.to_json() for seed, score in scores.items()},
    }
    headline = next(iter(scores.values())).headline
    context = {
        "title": make_title(meta),
        "meta": meta,
        "figures": figures,
        "headline": (name_figure(headline), figures[headline]),
        "seeds": {seed: (one.figures()[headline], one.interval) for seed, one in scores.items()},
    }
    write_files(folder, content, "answer_seeds", context)


def _judge(example: Example, prediction: Prediction) -> WrongAnswer | None:
    """What the page shows of a document, or None where nothing is wrong with it."""
    gold, predicted = _list_values(example.gold), _list_values(prediction.annotation)
    names = dict.fromkeys([*gold, *predicted])
    differences = tuple(Difference(name, gold.get(name, ""), predicted.get(name, "")) for name in names)
    notes = tuple(f"{problem.kind}: {problem.detail}".removesuffix(": ") for problem in prediction.problems)
    if not notes and not any(difference.is_wrong for difference in differences):
        return None
    return WrongAnswer(example.id, str(example.source or ""), example.text, differences, notes, prediction.completion)


def _list_values(annotation: Annotation | None) -> dict[str, str]:
    """The content by field, or of the whole under one name."""
    if isinstance(annotation, Fields):
        values = annotation.values.items()
        return {name: value if isinstance(value, str) else "；".join(sorted(value)) for name, value in values if value}
    if isinstance(annotation, Labels):
        return {"label": "；".join(sorted(annotation.names))}
    if isinstance(annotation, Answer):
        return {"answer": annotation.text}
    raise TypeError(f"a report of answers cannot show {type(annotation).__name__}")
