"""`extune compare`: which of several scored runs is better, by how much, and on which rows.

In: runs, or folders of scores, of one test set. Out: a leaderboard, and for each run but the first its difference to the first:
intervals, p-values, rows fixed and broken. Everything comes from the predictions that were scored; no model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extune.domain.annotation import Extraction
from extune.errors import RunError
from extune.evaluation.metrics import PRF, DocumentCounts, count_documents
from extune.evaluation.scoring import require_kind
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
        counts: strict, over all types; of several seeds the sum.
        interval: 95 % document bootstrap of F1; None where a baseline's report has none.
    """

    name: str
    seeds: int
    counts: PRF
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PairComparison:
    """The second run against the first.

    Attributes:
        differences: by type, `all` first: F1 of both, interval of the difference, p-value. The p-values of types are not
            corrected for their number.
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
    """What was compared; `leaderboard` is sorted by F1, the best first."""

    test_set_hash: str
    documents: int
    resamples: int
    leaderboard: tuple[Standing, ...]
    comparisons: tuple[PairComparison, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "test_set_hash": self.test_set_hash,
            "documents": self.documents,
            "resamples": self.resamples,
            "leaderboard": [
                {"name": one.name, "seeds": one.seeds, **one.counts.to_json(), "interval": one.interval and list(one.interval)}
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
    standings = [*(entry.standing(resamples) for entry in entries), *_list_baselines(entries)]
    standings.sort(key=lambda one: -one.counts.f1)
    return ComparisonReport(first.hash, len(first.ids), resamples, tuple(standings), tuple(comparisons))


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
        reported = list(self.folders[0].report.get("score", {}).get("per_type", {}))
        found = {name for counts in self._counts for one in counts for name in one.per_type}
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
        rows = [(int(tp), int(fp), int(fn)) for tp, fp, fn in np.rint(table)]
        tp, fp, fn = (sum(column) for column in zip(*rows, strict=True))
        return Standing(self.name, len(self.folders), PRF(tp, fp, fn), bootstrap_interval(rows, resamples))


def _count(folder: ScoresFolder) -> list[DocumentCounts]:
    gold = {example.id: example.gold for example in folder.examples if isinstance(example.gold, Extraction)}
    if len(gold) < len(folder.examples):
        raise RunError(
            f"{len(folder.examples) - len(gold)} examples have no spans as gold",
            where=str(folder.path),
            expected="scores of an extraction, which are counted span by span",
            fix="read the figures of other kinds of tasks in their report.json",
        )
    found = require_kind(Extraction, {one.example_id: one.annotation for one in folder.predictions})
    return count_documents(gold, found, {one.example_id: one.problems for one in folder.predictions})


def _list_counts(counts: DocumentCounts, types: Sequence[str]) -> list[tuple[float, float, float]]:
    nothing = PRF(0, 0, 0)
    groups = [counts.strict, *(counts.per_type.get(name, nothing) for name in types)]
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


def _list_baselines(entries: Sequence[_Entry]) -> list[Standing]:
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
                standing = Standing(label, 0, PRF(*key[1:]), None if interval is None else (interval[0], interval[1]))
                found.setdefault(key, standing)
    return list(found.values())
