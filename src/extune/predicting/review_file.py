"""Predictions that somebody should look at go to a file of their own.

In: predictions in the order of their examples. Out: what is sure of each, and a JSONL file with everything else. No item is
lost, also where the job is interrupted and goes on. It knows nothing about models and where a threshold comes from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Self

from extune.data.writers import PredictionWriter
from extune.domain.annotation import Annotation, Extraction, Fields, Labels
from extune.domain.prediction import Prediction
from extune.errors import DataError, EngineError
from extune.predicting.sure import count_items, has_confidence, needs_review, split_prediction

MIN_CONFIDENCE = "--min-confidence"


@dataclass(frozen=True)
class Review:
    """What is kept back from an output for somebody to look at.

    Attributes:
        path: `.jsonl`; a row for every example with an item that is not sure, or with a problem.
        least: confidence of what is sure.
    """

    path: Path
    least: float


class ReviewSorter:
    """Writes what is not sure to the review, before the rest goes to the output.

    A job that was interrupted between the two finds the row in the review and does not write it again.
    """

    def __init__(self, review: Review, done: frozenset[str]) -> None:
        self._review, self._done = review, done
        self._writer = PredictionWriter(review.path)
        self._ahead: set[str] = set()
        self._tells = False
        self.sure = self.unsure = self.rows = 0

    def __enter__(self) -> Self:
        """Open the review."""
        self._writer.__enter__()
        self._ahead = set(self._writer.done) - self._done
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the review."""
        self._writer.__exit__(kind, error, traceback)

    def keep(self, prediction: Prediction, text: str) -> Prediction:
        """Write what is not sure; return the rest."""
        self._require_confidence(prediction)
        sure, unsure = split_prediction(prediction, self._review.least)
        self.sure += count_items(sure.annotation)
        self.unsure += count_items(unsure.annotation)
        if needs_review(unsure):
            self.rows += 1
            if unsure.example_id in self._ahead:
                self._ahead.remove(unsure.example_id)
            else:
                self._writer.write(unsure, text)
        return sure

    def _require_confidence(self, prediction: Prediction) -> None:
        """Refuse where the first mentions, pieces or labels have no confidence: then none will have one."""
        annotation = prediction.annotation
        self._tells = self._tells or has_confidence(annotation)
        asked = bool(annotation.spans) if isinstance(annotation, Extraction) else _has_short_values(annotation)
        if asked and not self._tells:
            raise EngineError(
                "the engine computes no log-probabilities, so nothing is known to be sure",
                where=MIN_CONFIDENCE,
                expected="an engine that tells how probable its tokens are",
                fix=f"--engine transformers, or leave {MIN_CONFIDENCE} and --review out",
            )


def _has_short_values(annotation: Annotation) -> bool:
    """Whether there are labels or lists, which always have confidences where the engine tells probabilities."""
    if isinstance(annotation, Labels):
        return bool(annotation.names)
    return isinstance(annotation, Fields) and any(value and not isinstance(value, str) for value in annotation.values.values())


def require_files(source: Path, out: Path, review: Review | None) -> None:
    """Refuse files that are not what they should be, before anything is written.

    Raises:
        DataError: two of the files are one, or the output was written with another review.
    """
    named = {"input": source, "output": out} | ({} if review is None else {"review": review.path})
    for (name, one), (other_name, other) in combinations(named.items(), 2):
        if one.absolute() == other.absolute() or (one.exists() and other.exists() and one.samefile(other)):
            raise DataError(
                f"{name} and {other_name} are the same file", where=str(one), expected="two files", fix="--out OTHER"
            )
    if review is not None and review.path.suffix.lower() != ".jsonl":
        raise DataError("is no .jsonl file", where=str(review.path), expected="a review in JSONL", fix="--review review.jsonl")
    least = None if review is None else review.least
    _require_same_split(out, least)
    if review is not None:
        _require_same_split(review.path, least)
        if out.is_file() and out.stat().st_size and not review.path.is_file():
            raise _other_split(out, "was written without this review")


def _require_same_split(path: Path, least: float | None) -> None:
    """Refuse a file whose first row was written with another threshold; only .jsonl tells."""
    if path.suffix.lower() != ".jsonl" or not path.is_file():
        return
    with path.open("rb") as file:
        first = file.readline()
    try:
        found = json.loads(first)["decoding"].get("min_confidence")
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # torn, empty or foreign: the writer sees to it
    if found != least:
        told = "without a threshold" if found is None else f"with min-confidence {found:g}"
        raise _other_split(path, f"was written {told}")


def _other_split(path: Path, what: str) -> DataError:
    return DataError(
        what,
        where=str(path),
        expected=f"the same {MIN_CONFIDENCE} and --review in all rows",
        fix="choose new files for --out and --review",
    )
