"""`extune convert IN OUT`: labelled data, or the predictions of a run, in the file format of another tool.

In: a file, a folder, or a run with scores. Out: a file or a folder, and everything that it could not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from extune.data.readers.exchange import WRITTEN, Export, kind_of
from extune.data.readers.tables import RawRow, find_encoding, iter_raw_rows
from extune.data.splits import read_file
from extune.data.writers import read_predictions
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.errors import DataError, RecipeError
from extune.files import atomic_folder, write_text
from extune.recipe.sections import DataSection
from extune.reporting.scores_folder import PREDICTIONS, read_scores_folder
from extune.runs.run_dir import RunDir


@dataclass(frozen=True)
class Converted:
    """What was done.

    Attributes:
        examples: that were read.
        notes: how they were read, one sentence each.
        losses: what OUT does not hold of IN, one sentence each with a count and the first places.
        skipped: rows that were left out because they are wrong.
    """

    examples: int
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    skipped: tuple[str, ...]


def convert(
    source: Path,
    out: Path,
    data: DataSection,
    to: str,
    *,
    scores: tuple[str, str] = ("test", "transformers"),
    strict: bool = False,
) -> Converted:
    """Read, and write in another format.

    Args:
        source: a labelled file or folder, a file of predictions as `extune predict` writes it, or a run.
        out: the file to write; a new folder for brat.
        data: how labelled data are read.
        to: one of `WRITTEN`.
        scores: of a run, the split and the engine whose predictions are written.
        strict: write nothing where anything would be lost.

    Raises:
        RecipeError: `to` is no format, or cannot hold annotations of this kind.
        DataError: a wrong row, or with `strict` something that would be lost.
        RunError: the run has no such predictions.
    """
    if to not in WRITTEN:
        raise RecipeError(f"unknown format {to!r}", where="--to", expected="one of " + ", ".join(WRITTEN), fix="--to extune")
    found, notes, skipped = _read(source, data, scores)
    for example in found.examples:
        kind = kind_of(example.gold) if example.gold is not None else None
        if kind is not None and kind not in WRITTEN[to].kinds:
            raise RecipeError(
                f"{to} cannot hold annotations of the kind {kind}",
                where=str(example.source or example.id),
                expected="one of " + ", ".join(name for name, one in WRITTEN.items() if kind in one.kinds),
                fix="choose another format with --to",
            )
    files = WRITTEN[to].render(out, found)
    losses = found.losses.notes()
    if strict and (losses or skipped):
        raise DataError(
            "; ".join([*losses, *skipped]),
            where=str(source),
            expected=f"nothing that {to} cannot hold (--strict)",
            fix="choose another format with --to, or leave --strict out: what is lost is then counted and left out",
        )
    _write(out, files)
    return Converted(len(found.examples), notes, tuple(losses), skipped)


def _read(source: Path, data: DataSection, scores: tuple[str, str]) -> tuple[Export, tuple[str, ...], tuple[str, ...]]:
    """What is converted, how it was read, and the wrong rows that were left out."""
    run = RunDir(source)
    if run.is_finished or run.seed_runs() or (source.is_dir() and run.recipe_file.is_file()):
        run.contract()  # says more than a missing file
        folder = read_scores_folder(run.scores(*scores))
        pairs = list(zip(folder.examples, folder.predictions, strict=True))
        return _predicted(pairs, source.name), (f"predictions of {folder.path / PREDICTIONS}",), ()
    result = read_file(data, source, None)
    skipped = tuple(f"line {row.line} is left out: {row.reason}" for row in result.skipped)
    if not _holds_predictions(source):
        return Export(result.examples, losses=result.losses), result.notes, skipped
    predictions = read_predictions(source)
    return _predicted([(one, predictions[one.id]) for one in result.examples], source.stem), result.notes, skipped


def _predicted(pairs: Sequence[tuple[Example, Prediction]], model: str) -> Export:
    """Examples annotated with what was predicted; what else a prediction says has no place in any of the formats."""
    export = Export([replace(example, gold=one.annotation) for example, one in pairs], model)
    for example, prediction in pairs:
        if prediction.completion:
            export.lose("the completion of a prediction is lost", example)
        for problem in prediction.problems:
            export.lose(f"a problem of a prediction is lost ({problem.kind})", example)
    return export


def _holds_predictions(path: Path) -> bool:
    """Whether a file is one of `extune predict`."""
    if path.suffix.lower() != ".jsonl" or not path.is_file():
        return False
    first = next(iter_raw_rows(path, find_encoding(path)), None)
    return isinstance(first, RawRow) and {"completion", "problems"} <= first.values.keys()


def _write(out: Path, files: Mapping[Path, str]) -> None:
    """Write one file, or a folder of them, whole or not at all; never over something."""
    if out.exists():
        raise DataError(
            "exists already", where=str(out), expected="a new file or folder", fix="choose another name, or remove it"
        )
    if list(files) == [out]:
        write_text(out, files[out])
        return
    with atomic_folder(out) as temporary:
        for path, content in files.items():
            (temporary / path.name).write_text(content, encoding="utf-8", newline="\n")
