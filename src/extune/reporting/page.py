"""A score becomes `report.json` (for programs), `report.md` (for a merge request) and `report.html` (for people).

In: scores, what is known about the run, the documents. Out: three files; the page needs nothing but itself. It computes no
score and reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction, ProblemKind
from extune.evaluation.assessment import Overlap
from extune.evaluation.error_atlas import ErrorAtlas, ErrorClass
from extune.evaluation.matching import compare_spans
from extune.evaluation.metrics import PRF, ExtractionScore, MeanDeviation, aggregate_scores
from extune.files import write_json, write_text
from extune.reporting.highlight import Mark, nest_marks

SHOWN_DOCUMENTS = 30
_NOTHING = "–"
_MODES = {
    "strict": "start, end and type are those of a gold span",
    "text": "type and text are those of a gold span, wherever it stands",
    "partial": "same type; the same place counts 1, an overlap 1/2",
    "boundary": "start and end are those of a gold span, whatever its type",
}


@dataclass(frozen=True)
class WrongDocument:
    """What the page shows of a document that is not entirely right.

    Attributes:
        marks: the text with its gold and predicted spans; `verdicts` says of each span, by its key, whether it was `found`,
            `missed` or `spurious`.
        notes: what cannot be shown inside the text.
    """

    id: str
    source: str
    marks: tuple[Mark, ...]
    verdicts: Mapping[tuple[int, int, str], str]
    notes: tuple[str, ...]
    completion: str


def write_report(
    folder: Path,
    *,
    score: ExtractionScore,
    meta: Mapping[str, object],
    documents: Sequence[tuple[Example, Prediction]] = (),
    baselines: Mapping[str, ExtractionScore] | None = None,
    atlas: ErrorAtlas | None = None,
    overlap: Overlap | None = None,
) -> None:
    """Write the three files of one scored split.

    Args:
        folder: is created where it does not exist.
        score: of the split.
        meta: JSON values, shown in this order; `run`, `split` and `engine` make the title, `test_set_hash` says which file.
        documents: every scored example with its prediction; the page lists the first that are wrong.
        baselines: scores to compare with, by name.
        atlas: of the mistakes.
        overlap: test documents that stand in train.
    """
    others = dict(baselines or {})
    wrong = [document for document in (_judge(*pair) for pair in documents) if document is not None]
    content = {
        "meta": dict(meta),
        "score": score.to_json(),
        "baselines": {name: one.to_json() for name, one in others.items()},
        "atlas": atlas and atlas.to_json(),
        "overlap": overlap and overlap.to_json(),
    }
    context = {
        "title": make_title(meta),
        "meta": meta,
        "score": score,
        "modes": _list_modes(score),
        "baselines": others,
        "atlas": atlas,
        "overlap": overlap,
        "classes": [kind for kind in ErrorClass if atlas and atlas.total.wrong.get(kind, 0) + atlas.total.missed.get(kind, 0)],
        "wrong": wrong[:SHOWN_DOCUMENTS],
        "wrong_count": len(wrong),
    }
    write_files(folder, content, "report", context)


def write_seed_report(folder: Path, *, scores: Mapping[str, ExtractionScore], meta: Mapping[str, object]) -> None:
    """Write the three files of several trainings that differ in their seed: every figure with mean and deviation.

    Args:
        folder: is created where it does not exist.
        scores: by seed, at least one.
        meta: as in `write_report`.
    """
    figures = aggregate_scores(list(scores.values()))
    content = {
        "meta": dict(meta),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "seeds": {seed: score.to_json() for seed, score in scores.items()},
    }
    write_files(folder, content, "seeds", {"title": make_title(meta), "meta": meta, "figures": figures, "scores": scores})


def write_files(folder: Path, content: Mapping[str, Any], template: str, context: Mapping[str, object]) -> None:
    """Write `report.json` with the content, and the two pages that the template makes of the context."""
    environment = _build_environment()
    write_json(folder / "report.json", content)
    for ending in ("md", "html"):
        page = environment.get_template(f"{template}.{ending}.jinja").render(context)
        # A text may hold lone surrogates, which no encoding can write.
        write_text(folder / f"report.{ending}", page.encode("utf-8", "replace").decode("utf-8"))


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("extune.reporting", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=_figure, count=_count, spread=_spread, value=_value, cell=_cell)
    return environment


def _judge(example: Example, prediction: Prediction) -> WrongDocument | None:
    """What the page shows of a document, or None where nothing is wrong with it."""
    gold, predicted = _spans_of(example.gold), _spans_of(prediction.annotation)
    comparison = compare_spans(gold, predicted)
    notes = [f"not in the text: {mention.text} ({mention.type})" for mention in predicted.ungrounded]
    told = {ProblemKind.UNGROUNDED} if predicted.ungrounded else set()
    notes += [f"{one.kind}: {one.detail}".removesuffix(": ") for one in prediction.problems if one.kind not in told]
    if not (comparison.missed or comparison.spurious or notes):
        return None
    verdicts = {span.key: "found" for span in comparison.found}
    verdicts |= {span.key: "missed" for span in comparison.missed}
    verdicts |= {span.key: "spurious" for span in comparison.spurious}
    shown: list[Span] = [*comparison.found, *comparison.missed, *comparison.spurious]
    return WrongDocument(
        id=example.id,
        source=str(example.source or ""),
        marks=tuple(nest_marks(example.text, shown)),
        verdicts=verdicts,
        notes=tuple(notes),
        completion=prediction.completion,
    )


def _spans_of(annotation: object) -> Extraction:
    if not isinstance(annotation, Extraction):
        raise TypeError(f"a report of spans cannot show {type(annotation).__name__}")
    return annotation


def _list_modes(score: ExtractionScore) -> list[tuple[str, str, PRF]]:
    """Name, definition and counts of the four ways to compare."""
    figures = (score.micro, score.text_strict, score.partial, score.boundary)
    return [(name, about, prf) for (name, about), prf in zip(_MODES.items(), figures, strict=True)]


def make_title(meta: Mapping[str, object]) -> str:
    """Run, split and engine."""
    return " · ".join(str(meta[key]) for key in ("run", "split", "engine") if meta.get(key)) or "report"


def _figure(value: float | None) -> str:
    """A share with four decimals."""
    return _NOTHING if value is None else f"{value:.4f}"


def _count(value: float) -> str:
    """A number of things, possibly with a half."""
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"


def _spread(figure: MeanDeviation) -> str:
    """Mean ± deviation."""
    return _figure(figure.mean) if figure.deviation is None else f"{figure.mean:.4f} ± {figure.deviation:.4f}"


def _value(value: object) -> str:
    """One entry of the table about the run."""
    if value is None:
        return _NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items()) or _NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or _NOTHING
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _cell(text: object) -> str:
    """Text inside a Markdown table."""
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
