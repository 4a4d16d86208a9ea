"""`extune report A B`: two scored runs of one test set on one page, with what changed between them.

In: two runs, or folders of scores. Out: a page. Differences are those of `extune compare`; no model is loaded.
"""

from __future__ import annotations

from pathlib import Path

from extune.domain.annotation import Extraction
from extune.errors import RunError
from extune.evaluation.document_counts import count_each
from extune.evaluation.error_atlas import AtlasDocument, ErrorAtlas, build_atlas
from extune.evaluation.score import name_figure
from extune.reporting.background import Background, read_background
from extune.reporting.pair_report import Side, write_pair_report
from extune.reporting.privacy import hide_folders
from extune.reporting.scores_folder import REPORT, ScoresFolder, read_scores_folder
from extune.runs.run_dir import RunDir
from extune.stages.compare import ComparisonReport, compare


def report_pair(
    first: Path | str, second: Path | str, out: Path | None = None, split: str = "test", engine: str = "transformers"
) -> Path:
    """Write the page of two runs; returns its path.

    Args:
        first: what the second is held against: a run of one training, or a folder with the files of an evaluation.
        second: likewise.
        out: of the page; None is `FIRST-SECOND.html` in the current folder.
        split: that was evaluated, for run directories.
        engine: that evaluated it, for run directories.

    Raises:
        RunError: scores are missing or corrupted, of different test sets, or of several seeds.
    """
    paths = (Path(first), Path(second))
    folders = [_read(path, split, engine) for path in paths]
    comparison = compare(paths, split, engine)
    sides = [_build_side(path, folder, comparison) for path, folder in zip(paths, folders, strict=True)]
    page = out or Path(f"{sides[0].name}-{sides[1].name}.html")
    (pair,) = comparison.comparisons
    examples = folders[0].examples
    write_pair_report(page, (sides[0], sides[1]), examples, pair.differences, name_figure(comparison.headline))
    return page


def _read(path: Path, split: str, engine: str) -> ScoresFolder:
    if (path / REPORT).is_file():
        return read_scores_folder(path)
    run = RunDir(path)
    if run.seed_runs():
        raise RunError(
            "holds several runs: " + ", ".join(one.path.name for one in run.seed_runs()),
            where=str(path),
            expected="one run on each side",
            fix=f"name one of them ({run.seed_runs()[0].path}); extune compare averages over seeds",
        )
    return read_scores_folder(run.scores(split, engine))


def _build_side(path: Path, folder: ScoresFolder, comparison: ComparisonReport) -> Side:
    interval = next(one.interval for one in comparison.leaderboard if one.name == str(path))
    background: Background | None = None if (path / REPORT).is_file() else read_background(RunDir(path))
    return Side(
        name=path.resolve().name,
        meta=hide_folders(folder.meta),
        interval=interval,
        predictions=folder.predictions,
        counts=count_each(folder.report["score"], folder.examples, folder.predictions),
        atlas=_build_atlas(folder),
        background=background,
    )


def _build_atlas(folder: ScoresFolder) -> ErrorAtlas | None:
    """The mistakes of an extraction; None for other kinds of tasks."""
    documents = [
        AtlasDocument(example.id, len(example.text), example.gold, one.annotation, one.problems)
        for example, one in zip(folder.examples, folder.predictions, strict=True)
        if isinstance(example.gold, Extraction) and isinstance(one.annotation, Extraction)
    ]
    return build_atlas(documents, list(folder.report["score"]["per_type"])) if documents else None
