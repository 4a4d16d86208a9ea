"""A score as figures and tables, the same for pages and terminals.

In: a score. Out: names, texts and numbers, ready to be laid out; names and phrases are English keys of `words.CHINESE`. It
knows no HTML and computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from extune.evaluation.classification_metrics import INVALID, ClassificationScore
from extune.evaluation.generation_metrics import GenerationScore
from extune.evaluation.metrics import PRF, ExtractionScore
from extune.evaluation.record_metrics import FieldScore, RecordScore
from extune.evaluation.score import Score, name_figure

NOTHING = "–"
NO_LABEL = "(no label)"
MOST_LABELS_IN_CONFUSION = 30


@dataclass(frozen=True)
class Tile:
    """One figure that stands out; `phrase`, with `values` in it, says what it is a share of, or its interval."""

    name: str
    figure: str
    phrase: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """The phrase in English."""
        return self.phrase.format(**self.values)


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
    """What is shown of a score of any kind.

    Raises:
        TypeError: an unknown kind.
    """
    if isinstance(score, ExtractionScore):
        return View(_span_tiles(score), (_type_table(score),))
    if isinstance(score, RecordScore):
        return View(_record_tiles(score), (_field_table(score),))
    if isinstance(score, ClassificationScore):
        return View(_class_tiles(score), _class_tables(score))
    if isinstance(score, GenerationScore):
        return View(_answer_tiles(score), ())
    raise TypeError(f"{type(score).__name__} is not shown here")


def _headline(score: Score) -> Tile:
    figure, ends = score.figures()[score.headline], score.interval
    name = "strict F1" if isinstance(score, ExtractionScore) else name_figure(score.headline)
    if ends is None:
        return Tile(name, show_figure(figure), "no interval")
    values = {"low": show_figure(ends[0]), "high": show_figure(ends[1])}
    return Tile(name, show_figure(figure), "{low} to {high} (95 %)", values)


def _share_tile(name: str, count: int, total: int, phrase: str = "of {total}") -> Tile:
    return Tile(name, f"{count:,}", phrase, {"total": f"{total:,}"})


def _span_tiles(score: ExtractionScore) -> tuple[Tile, ...]:
    right, predicted = f"{score.micro.tp:,.0f}", f"{score.micro.tp + score.micro.fp:,.0f}"
    in_gold = f"{score.gold_spans:,}"
    return (
        _headline(score),
        Tile(
            "precision",
            show_figure(score.micro.precision),
            "{count} of {total} predicted",
            {"count": right, "total": predicted},
        ),
        Tile("recall", show_figure(score.micro.recall), "{count} of {total} in gold", {"count": right, "total": in_gold}),
        _share_tile("documents without mistake", score.exact_documents, score.documents),
    )


def _type_table(score: ExtractionScore) -> Table:
    rows = tuple((name, *_counts(prf), *_shares(prf)) for name, prf in score.per_type.items())
    return Table("By type", ("type", "in gold", "predicted", "P", "R", "F1"), rows)


def _figures(score: Score, *keys: str) -> tuple[Tile, ...]:
    figures = score.figures()
    return tuple(Tile(name_figure(key), show_figure(figures[key])) for key in keys if key in figures)


def _record_tiles(score: RecordScore) -> tuple[Tile, ...]:
    exact = _share_tile("records without mistake", score.exact_documents, score.documents)
    keys = ("micro.precision", "micro.recall", "macro.f1", "presence.precision", "presence.recall", "parseable")
    return (_headline(score), *_figures(score, *keys), exact)


def _field_table(score: RecordScore) -> Table:
    header = ("field", "kind", "in gold", "predicted", "P", "R", "F1", "presence P", "presence R", "ROUGE-L", "character F1")
    return Table("By field", header, tuple(_field_row(name, one) for name, one in score.fields.items()))


def _field_row(name: str, field: FieldScore) -> tuple[str, ...]:
    texts = (show_figure(field.rouge_l), show_figure(field.char_f1))
    return (name, field.kind, *_counts(field.leaves), *_shares(field.leaves)[:3], *_shares(field.presence)[:2], *texts)


def _class_tiles(score: ClassificationScore) -> tuple[Tile, ...]:
    invalid = _share_tile("answers without a label", score.invalid, score.documents, "of {total}, counted as wrong")
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
        ("", *(name or NO_LABEL for name in columns)),
        tuple((row, *(str(score.confusion.get(row, {}).get(column, 0)) for column in columns)) for row in names),
    )


def _answer_tiles(score: GenerationScore) -> tuple[Tile, ...]:
    perplexity = Tile("perplexity", NOTHING, "needs the model")
    if score.loss is not None:
        tokens = {"count": f"{score.loss.tokens:,}"}
        perplexity = Tile("perplexity", f"{score.loss.perplexity:.2f}", "over {count} target tokens", tokens)
    exact = _share_tile("equal to the gold answer", score.exact_documents, score.documents)
    return (_headline(score), *_figures(score, "bleu", "char_f1"), perplexity, exact)


def _counts(prf: PRF) -> tuple[str, str]:
    return f"{prf.tp + prf.fn:.0f}", f"{prf.tp + prf.fp:.0f}"


def _shares(prf: PRF) -> Sequence[str]:
    return [NOTHING] * 3 if prf.is_empty else [show_figure(value) for value in (prf.precision, prf.recall, prf.f1)]
