"""`extune compare`: which of several scored runs is better, by how much, and on which rows.

In: runs, or folders of scores, of one test set and any kind of task. Out: a leaderboard, and for each run but the first its
difference to the first: intervals, p-values, rows fixed and broken. Everything comes from the predictions that were scored; no
model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extune.errors import RunError
from extune.evaluation.document_counts import DocumentCount, count_each
from extune.evaluation.metrics import PRF
from extune.evaluation.score import name_figure
from extune.evaluation.significance import RESAMPLES, F1Difference, bootstrap_interval, compare_f1
from extune.reporting.scores_folder import REPORT, ScoresFolder, read_scores_folder
from extune.runs.run_dir import RunDir

OVERALL = "all"


@dataclass(frozen=True)
class Standing:
    """One line of the leaderboard.

    Attributes:
        name: of the run as the user named it, or of a baseline.
        seeds: trainings whose counts are added; 0 for a baseline.
        figure: the headline of the kind of task; of several seeds over the sum of their counts.
        counts: what the headline comes from, see `document_counts`; of several seeds the sum.
        interval: 95 % document bootstrap of the figure; None where a baseline's report has none.
    """

    name: str
    seeds: int
    figure: float
    counts: PRF
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PairComparison:
    """The second run against the first.

    Attributes:
        differences: by type, field or label, `all` first: the figure of both, interval of the difference, p-value. The
            p-values of types are not corrected for their number.
        fixed: ids of the documents that are entirely right in the second only; of several seeds, in most of them.
        broken: ids of those that are entirely right in the first only.
    """

    first: str
    second: str
    differences: Mapping[str, F1Difference]
    fixed: tuple[str, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonReport:
    """What was compared; `leaderboard` is sorted by the headline, the best first.

    `headline` is the key of the figure that is compared, see `score.name_figure`; of single types, fields and labels it is F1.
    """

    headline: str
    test_set_hash: str
    documents: int
    resamples: int
    leaderboard: tuple[Standing, ...]
    comparisons: tuple[PairComparison, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "headline": self.headline,
            "test_set_hash": self.test_set_hash,
            "documents": self.documents,
            "resamples": self.resamples,
            "leaderboard": [
                {
                    "name": one.name,
                    "seeds": one.seeds,
                    "figure": one.figure,
                    **one.counts.to_json(),
                    "interval": one.interval and list(one.interval),
                }
                for one in self.leaderboard
            ],
            "comparisons": [
                {
                    "first": one.first,
                    "second": one.second,
                    "differences": {
                        name: asdict(found) | {"difference": found.difference} for name, found in one.differences.items()
                    },
                    "fixed": {"count": len(one.fixed), "ids": list(one.fixed)},
                    "broken": {"count": len(one.broken), "ids": list(one.broken)},
                }
                for one in self.comparisons
            ],
        }


def compare(
    runs: Sequence[Path | str],
    split: str = "test",
    engine: str = "transformers",
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ComparisonReport:
    """Compare the scores of runs on one test set; every later run is held against the first.

    Args:
        runs: two or more run directories (of one training or of several seeds), or folders with the files of an evaluation.
        split: that was evaluated, for run directories.
        engine: that evaluated it, for run directories.
        resamples: of the bootstrap and of the randomisation.
        seed: of both.

    Raises:
        RunError: fewer than two, scores that are missing or corrupted, or scores of different test sets.
    """
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run(s) given", expected="two or more", fix="extune compare runs/A runs/B", where="compare")
    entries = [_Entry(str(run), _read(Path(run), split, engine)) for run in runs]
    for one, other in pairwise([folder for entry in entries for folder in entry.folders]):
        _require_same_test_set(one, other)
    headline = _name_headline(entries)
    types = list(dict.fromkeys(name for entry in entries for name in entry.list_types()))
    first = entries[0]
    comparisons = []
    for entry in entries[1:]:
        differences = compare_f1(first.table(types), entry.table(types), resamples, seed)
        better, worse = first.right() < entry.right(), first.right() > entry.right()
        comparisons.append(
            PairComparison(
                first.name,
                entry.name,
                dict(zip((OVERALL, *types), differences, strict=True)),
                tuple(id_ for id_, found in zip(first.ids, better, strict=True) if found),
                tuple(id_ for id_, found in zip(first.ids, worse, strict=True) if found),
            )
        )
    standings = [*(entry.standing(resamples) for entry in entries), *_list_baselines(entries, headline)]
    standings.sort(key=lambda one: -one.figure)
    return ComparisonReport(headline, first.hash, len(first.ids), resamples, tuple(standings), tuple(comparisons))


class _Entry:
    """One run, or several seeds of one, and the counts of each document."""

    def __init__(self, name: str, folders: Sequence[ScoresFolder]) -> None:
        self.name = name
        self.folders = folders
        self.ids = [example.id for example in folders[0].examples]
        self.hash = str(folders[0].meta.get("test_set_hash"))
        self._counts = [_count(folder) for folder in folders]

    def list_types(self) -> list[str]:
        """Those that occur in gold or predictions, in the order of the report, which is the task's."""
        score = self.folders[0].report.get("score", {})
        reported = [name for key in ("per_type", "fields", "per_label") for name in score.get(key, {})]
        found = {name for counts in self._counts for one in counts for name in one.groups}
        return [*(name for name in reported if name in found), *sorted(found - set(reported))]

    def table(self, types: Sequence[str]) -> NDArray[np.float64]:
        """Documents x (all, then the types) x 3; of several seeds the mean."""
        seeds = [[_list_counts(one, types) for one in counts] for counts in self._counts]
        mean: NDArray[np.float64] = np.asarray(seeds, dtype=np.float64).mean(axis=0)
        return mean

    def right(self) -> NDArray[np.bool_]:
        """Which documents are entirely right, in most of the seeds."""
        share = np.asarray([[one.is_exact for one in counts] for counts in self._counts]).mean(axis=0)
        return np.asarray(share > 0.5)

    def standing(self, resamples: int) -> Standing:
        """The line of the leaderboard."""
        table = self.table([])[:, 0] * len(self.folders)
        # The mean of several seeds, multiplied again, is off in the last digits.
        rows = [(round(tp, 9), round(fp, 9), round(fn, 9)) for tp, fp, fn in table.tolist()]
        counts = PRF(*(math.fsum(column) for column in zip(*rows, strict=True)))
        return Standing(self.name, len(self.folders), counts.f1, counts, bootstrap_interval(rows, resamples))


def _count(folder: ScoresFolder) -> list[DocumentCount]:
    try:
        return count_each(folder.report["score"], folder.examples, folder.predictions)
    except (KeyError, TypeError) as error:
        raise RunError(
            f"cannot be compared: {error}",
            where=str(folder.path),
            expected="scores that this version of extune wrote",
            fix="extune evaluate writes them again",
        ) from None


def _name_headline(entries: Sequence[_Entry]) -> str:
    """The figure that stands for the kind of task.

    Raises:
        RunError: the runs are of different kinds of tasks.
    """
    keys = {entry.name: _find_headline(entry.folders[0]) for entry in entries}
    if len(set(keys.values())) > 1:
        raise RunError(
            "different kinds of tasks: " + ", ".join(f"{name} has {name_figure(key)}" for name, key in keys.items()),
            expected="runs of one kind of task",
            fix="compare runs with equal task.kind",
        )
    return next(iter(keys.values()))


def _find_headline(folder: ScoresFolder) -> str:
    score = folder.report["score"]
    if "rouge_l" in score:
        return "rouge_l"
    return "accuracy" if score.get("multi_label") is False else "micro.f1"


def _list_counts(counts: DocumentCount, types: Sequence[str]) -> list[tuple[float, float, float]]:
    nothing = PRF(0, 0, 0)
    groups = [counts.total, *(counts.groups.get(name, nothing) for name in types)]
    return [(prf.tp, prf.fp, prf.fn) for prf in groups]


def _read(path: Path, split: str, engine: str) -> list[ScoresFolder]:
    """The scores of a folder, of a run, or of each seed of a run."""
    if (path / REPORT).is_file():
        return [read_scores_folder(path)]
    run = RunDir(path)
    return [read_scores_folder(one.scores(split, engine)) for one in run.seed_runs() or (run,)]


def _require_same_test_set(one: ScoresFolder, other: ScoresFolder) -> None:
    hashes = [folder.meta.get("test_set_hash") for folder in (one, other)]
    if None in hashes or hashes[0] != hashes[1]:
        names = [f"{folder.path} ({folder.meta.get('file')}, {folder.meta.get('test_set_hash')})" for folder in (one, other)]
        raise RunError(
            f"different test sets: {names[0]} and {names[1]}",
            expected="scores of one file: the test_set_hash in report.json is the same",
            fix="extune evaluate RUN --split FILE scores a run on any labelled file",
        )
    same = [(example.text, example.gold) for example in one.examples] == [
        (example.text, example.gold) for example in other.examples
    ]
    if not same:
        raise RunError(
            f"the same test set, read differently: {one.path} has {len(one.examples)} examples, "
            f"{other.path} has {len(other.examples)}, and their texts or spans differ",
            expected="equal data.reader, data.joiner, data.on_bad_row and types",
            fix="evaluate both in the same way",
        )


def _list_baselines(entries: Sequence[_Entry], headline: str) -> list[Standing]:
    """The baselines in the reports, each once; where reports disagree, the run's name stands behind."""
    found: dict[tuple[str, float, float, float], Standing] = {}
    for entry in entries:
        for folder in entry.folders:
            for name, score in folder.report.get("baselines", {}).items():
                micro = score["micro"]
                key = (name, micro["tp"], micro["fp"], micro["fn"])
                taken = any(other[0] == name for other in found)
                label = f"{name} of {entry.name} (baseline)" if taken else f"{name} (baseline)"
                interval = score.get("interval")
                counts, ends = PRF(*key[1:]), None if interval is None else (interval[0], interval[1])
                figure = score["accuracy"] if headline == "accuracy" else counts.f1
                found.setdefault(key, Standing(label, 0, figure, counts, ends))
    return list(found.values())
