"""What an engine produced and what was read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from extune.domain.annotation import Annotation


@dataclass(frozen=True)
class Completion:
    """Raw text that a model produced for one prompt.

    Attributes:
        text: without the stop token.
        finish: `stop` where the model ended by itself, `length` where the token budget cut it off, or the engine because it
            ran in a circle, `closed` where masks made it whole instead.
        token_count: tokens produced, the stop token included.
        logprobs: natural log-probability of each produced token under the model itself, before any mask; None where the engine
            did not compute them.
        token_ids: of the produced tokens, the stop token included; None where the engine does not know them.
        probabilities: of each label that could be chosen, by name, summing to 1; empty where labels were not weighed.
        closed_at: characters of `text` before each place where masks ended what the model would have gone on with: free text
            that ran in a circle, and last, where `finish` is `closed`, the answer.
    """

    text: str
    finish: Literal["stop", "length", "closed"]
    token_count: int
    logprobs: tuple[float, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    closed_at: tuple[int, ...] = ()


class ProblemKind(StrEnum):
    """Everything that can be wrong with a model's answer; each is counted in every report."""

    UNPARSEABLE = "unparseable"
    UNKNOWN_TYPE = "unknown_type"
    UNGROUNDED = "ungrounded"
    DUPLICATE = "duplicate"
    CUT_OFF = "cut_off"
    CLOSED_EARLY = "closed_early"
    TOO_LONG = "too_long"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a completion; `detail` quotes at most 80 characters of it."""

    kind: ProblemKind
    detail: str = ""


@dataclass(frozen=True)
class Prediction:
    """Parsed and aligned model output for one example.

    `completion` joins the windows' completions with a form feed where the text was windowed.
    `decoding` holds the decoding options that were used.
    `probabilities` are those of the completion; like the confidence of spans they do not take part in equality.
    `left_out` counts items of the completion of which the model was less sure than the contract's `min_confidence`.
    """

    example_id: str
    annotation: Annotation
    completion: str
    problems: tuple[Problem, ...] = ()
    decoding: dict[str, Any] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict, compare=False)
    left_out: int = field(default=0, compare=False)
