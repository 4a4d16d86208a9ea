"""A score of records, classes or answers as figures and tables, the same for pages and terminals.

In: a score. Out: names, texts and numbers, ready to be laid out. It knows no HTML and computes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from extune.evaluation.classification_metrics import INVALID, ClassificationScore
from extune.evaluation.generation_metrics import GenerationScore
from extune.evaluation.metrics import PRF
from extune.evaluation.record_metrics import FieldScore, RecordScore
from extune.evaluation.score import Score, name_figure

NOTHING = "–"
MOST_LABELS_IN_CONFUSION = 30


@dataclass(frozen=True)
class Tile:
    """One figure that stands out; `note` says what it is a share of, or its interval."""

    name: str
    figure: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Text cells; all columns but the first are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class View:
    """What is shown of a score, the headline first."""

    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]


def show_figure(value: float | None) -> str:
    """Four decimals; a dash where it is not defined."""
    return NOTHING if value is None else f"{value:.4f}"


def build_view(score: Score) -> View:
    """What is shown of a score of records, classes or answers.

    Raises:
        TypeError: another kind of score, which has pages of its own.
    """
    if isinstance(score, RecordScore):
        return View(_record_tiles(score), (_field_table(score),))
    if isinstance(score, ClassificationScore):
        return View(_class_tiles(score), _class_tables(score))
    if isinstance(score, GenerationScore):
        return View(_answer_tiles(score), ())
    raise TypeError(f"{type(score).__name__} is not shown here")


def _headline(score: Score) -> Tile:
    figure = score.figures()[score.headline]
    interval = score.interval
    note = "no interval" if interval is None else f"{show_figure(interval[0])} to {show_figure(interval[1])} (95 %)"
    return Tile(name_figure(score.headline), show_figure(figure), note)


def _figures(score: Score, *keys: str) -> tuple[Tile, ...]:
    figures = score.figures()
    return tuple(Tile(name_figure(key), show_figure(figures[key])) for key in keys if key in figures)


def _record_tiles(score: RecordScore) -> tuple[Tile, ...]:
    exact = Tile("records without mistake", str(score.exact_documents), f"of {score.documents}")
    keys = ("micro.precision", "micro.recall", "macro.f1", "presence.precision", "presence.recall", "parseable")
    return (_headline(score), *_figures(score, *keys), exact)


def _field_table(score: RecordScore) -> Table:
    header = ("field", "kind", "in gold", "predicted", "P", "R", "F1", "presence P", "presence R", "ROUGE-L", "character F1")
    return Table("By field", header, tuple(_field_row(name, one) for name, one in score.fields.items()))


def _field_row(name: str, field: FieldScore) -> tuple[str, ...]:
    texts = (show_figure(field.rouge_l), show_figure(field.char_f1))
    return (name, field.kind, *_counts(field.leaves), *_shares(field.leaves)[:3], *_shares(field.presence)[:2], *texts)


def _class_tiles(score: ClassificationScore) -> tuple[Tile, ...]:
    invalid = Tile("answers without a label", str(score.invalid), f"of {score.documents}, counted as wrong")
    keys = [key for key in ("accuracy", "micro.f1", "macro.f1", "mcc") if key != score.headline]
    return (_headline(score), *_figures(score, *keys), invalid)


def _class_tables(score: ClassificationScore) -> tuple[Table, ...]:
    rows = tuple((name, *_counts(prf), *_shares(prf)) for name, prf in score.per_label.items())
    by_label = Table("By label", ("label", "in gold", "predicted", "P", "R", "F1"), rows)
    names = [name for name in score.per_label if not score.per_label[name].is_empty]
    if not score.confusion or len(names) > MOST_LABELS_IN_CONFUSION:
        return (by_label,)
    columns = [*names, INVALID] if score.invalid else names
    return by_label, Table(
        "Confusion: gold label by row, predicted label by column",
        ("", *(name or "(no label)" for name in columns)),
        tuple((row, *(str(score.confusion.get(row, {}).get(column, 0)) for column in columns)) for row in names),
    )


def _answer_tiles(score: GenerationScore) -> tuple[Tile, ...]:
    perplexity = Tile("perplexity", NOTHING, "needs the model")
    if score.loss is not None:
        perplexity = Tile("perplexity", f"{score.loss.perplexity:.2f}", f"over {score.loss.tokens:,} target tokens")
    exact = Tile("equal to the gold answer", str(score.exact_documents), f"of {score.documents}")
    return (_headline(score), *_figures(score, "bleu", "char_f1"), perplexity, exact)


def _counts(prf: PRF) -> tuple[str, str]:
    return f"{prf.tp + prf.fn:.0f}", f"{prf.tp + prf.fp:.0f}"


def _shares(prf: PRF) -> Sequence[str]:
    return [NOTHING] * 3 if prf.is_empty else [show_figure(value) for value in (prf.precision, prf.recall, prf.f1)]
