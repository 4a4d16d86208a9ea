"""How things look on a terminal. In: scores, examples, errors. Out: text in colour where the terminal has colours.

Results go to standard output, progress and errors to standard error, so that output can be piped.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from extune.data.writers import describe_annotation
from extune.domain.annotation import Extraction, Fields, Labels
from extune.domain.prediction import Prediction
from extune.errors import ExtuneError
from extune.evaluation.metrics import ExtractionScore, MeanDeviation, aggregate_scores
from extune.evaluation.score import Score
from extune.reporting.views import build_view

_STYLES = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta",
           "black on bright_red", "white on blue", "black on white", "white on dark_green")  # fmt: skip

_SHOWN_LABELS = 3


def use_utf8() -> None:
    """Write UTF-8 whatever the system's encoding is: Windows consoles and pipes default to others."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def output() -> Console:
    """For results. Made anew for each use, so that redirections hold."""
    return Console(highlight=False, soft_wrap=True)


def errors() -> Console:
    """For progress, notes and errors."""
    return Console(highlight=False, soft_wrap=True, stderr=True)


def say(line: str | Text = "") -> None:
    """Print one result line; brackets in it are not markup."""
    output().print(line, markup=False)


def note(line: str) -> None:
    """Print one line that is no result."""
    errors().print(line, markup=False, style="dim")


def print_error(error: ExtuneError) -> None:
    """The four parts of an error, its kind first."""
    kind = next(one for one in type(error).__mro__ if one.__module__ == ExtuneError.__module__)  # rooms may refine it
    errors().print(Text(kind.__name__, style="bold red").append(f": {error.render()}", style="not bold default"))


def highlight(text: str, extraction: Extraction, types: Sequence[str]) -> Text:
    """The text with its spans in one colour per type; of nested spans the inner one shows."""
    shown = Text(text)
    for span in extraction.spans:  # the longer of two that begin together comes first
        shown.stylize(_style(span.type, types), span.start, span.end)
    return shown


def print_prediction(text: str, prediction: Prediction, types: Sequence[str]) -> None:
    """What was extracted or answered, and what was wrong with the answer."""
    annotation = prediction.annotation
    if isinstance(annotation, Extraction):
        print_extraction(text, annotation, types)
    elif isinstance(annotation, Fields):
        for name in annotation.values:
            pieces = [piece + _sureness(confidence) for key, piece, confidence in annotation.items() if key == name]
            say(Text(f"  {name}: ", style="bold").append("；".join(pieces), style="not bold"))
    elif isinstance(annotation, Labels):
        say("  " + "; ".join(name + _sureness(confidence) for name, confidence in annotation.items()))
    else:
        say("  " + describe_annotation(annotation))
    for name, probability in sorted(prediction.probabilities.items(), key=lambda one: -one[1])[:_SHOWN_LABELS]:
        note(f"  {probability:.3f} {name}")
    if not isinstance(annotation, Extraction) and not describe_annotation(annotation):
        say("  nothing")
    for problem in prediction.problems:
        note(f"  {problem.kind}: {problem.detail}")


def _sureness(confidence: float | None) -> str:
    return "" if confidence is None else f"  {confidence:.2f}"


def print_extraction(text: str, extraction: Extraction, types: Sequence[str]) -> None:
    """The highlighted text and one line per span."""
    say(highlight(text, extraction, types))
    for span in extraction.spans:
        line = (
            Text(f"  [{span.start}, {span.end})  ").append(span.type, style=_style(span.type, types)).append(f"  {span.text}")
        )
        say(line.append(_sureness(span.confidence)))
    for mention in extraction.ungrounded:
        say(f"  not in the text: {mention.type} {mention.text}")
    if not extraction.spans and not extraction.ungrounded:
        say("  nothing found")


def print_scores(title: str, scores: Sequence[Score]) -> None:
    """Totals and tables of one test set; of several trainings mean and standard deviation."""
    if len(scores) > 1:
        _print_aggregate(title, scores)
        return
    (score,) = scores
    if isinstance(score, ExtractionScore):
        _print_spans(title, score)
        return
    view = build_view(score)
    for one in view.tables:
        table = Table(one.header[0], *one.header[1:], title=f"{title}: {one.title}", title_justify="left")
        for row in one.rows:
            table.add_row(*map(Text, row))
        output().print(table)
    for tile in view.tiles:
        say(f"{tile.name} {tile.figure}" + (f"  ({tile.note})" if tile.note else ""))
    problems = ", ".join(f"{count} {kind}" for kind, count in score.problems.items() if count) or "none"
    say(f"{score.documents} examples; problems: {problems}")


def _print_spans(title: str, score: ExtractionScore) -> None:
    table = Table("type", "gold", "predicted", "P", "R", "F1", title=title, title_justify="left")
    for row in score.rows():
        table.add_row(
            Text(row.name), str(row.support), str(row.predicted), *(_figure(x) for x in (row.precision, row.recall, row.f1))
        )
    micro = score.micro
    table.add_section()
    table.add_row(
        "all (micro)",
        str(score.gold_spans),
        str(score.predicted_spans),
        *(_figure(x) for x in (micro.precision, micro.recall, micro.f1)),
    )
    table.add_row("macro", "", "", "", "", _figure(score.macro))
    output().print(table)
    say(summarize(score))


def summarize(score: ExtractionScore) -> str:
    """One line: strict F1 with its interval, the other modes, and what was wrong with answers."""
    interval = "" if score.interval is None else f" [{_figure(score.interval[0])}, {_figure(score.interval[1])}]"
    problems = ", ".join(f"{count} {kind}" for kind, count in score.problems.items() if count) or "none"
    return (
        f"F1 {_figure(score.micro.f1)}{interval}  (P {_figure(score.micro.precision)}, R {_figure(score.micro.recall)}; "
        f"text {_figure(score.text_strict.f1)}, partial {_figure(score.partial.f1)}, boundary {_figure(score.boundary.f1)}; "
        f"{score.documents} examples; problems: {problems})"
    )


def _print_aggregate(title: str, scores: Sequence[Score]) -> None:
    table = Table("figure", "mean ± sd", title=f"{title}, {len(scores)} seeds", title_justify="left")
    for name, figure in aggregate_scores(scores).items():
        table.add_row(Text(name), format_deviation(figure))
    output().print(table)


def format_deviation(figure: MeanDeviation) -> str:
    """Mean ± sample standard deviation."""
    return _figure(figure.mean) if figure.deviation is None else f"{figure.mean:.3f} ± {figure.deviation:.3f}"


def print_columns(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table."""
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    output().print(table)


def _style(name: str, types: Sequence[str]) -> str:
    return _STYLES[types.index(name) % len(_STYLES)] if name in types else "reverse"


def _figure(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
