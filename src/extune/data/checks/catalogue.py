"""Every finding that the data doctor knows: how grave it is, what it says, what to do; as in `docs/data-doctor.md`."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Kind(NamedTuple):
    """One kind of finding. An `error` stops the training; `info` needs no action."""

    severity: Severity
    what: str
    fix: str


_ROWS = {
    "unreadable-file": Kind("error", "the file cannot be read", "do what the message says"),
    "no-examples": Kind("error", "the file holds no example that can be read", "check the path, data.reader and the labels"),
    "bad-row": Kind("error", "a row that cannot be read", "correct the row; data.on_bad_row=skip trains without such rows"),
    "illegal-bio": Kind(
        "error",
        "labels in an order that their scheme does not allow",
        "correct the labels; --fix repairs an I- before which no part of the entity can stand",
    ),
    "span-mismatch": Kind("error", "offsets and text of an entity disagree", "correct the offsets (characters, end exclusive)"),
    "span-outside": Kind("error", "offsets that do not lie in the text", "correct the offsets (characters, end exclusive)"),
    "span-twice": Kind("error", "one entity stands twice in a row", "remove one of the two"),
    "discontinuous": Kind("error", "an entity of several pieces", "write each piece as an entity of its own"),
    "duplicate-id": Kind("error", "an id stands twice", 'rename it, or remove all "id" keys: rows are then numbered'),
    "name-variant": Kind(
        "error",
        "a name that differs from one of the task only in width, case or blanks",
        "write it as the task does; --fix does that",
    ),
    "name-typo": Kind("error", "an unknown name that is almost one of the task", "correct the name in the file or in the task"),
    "unknown-name": Kind("error", "a name that the task does not have", "correct it, or add it to the task"),
    "no-gold": Kind("error", "an example without annotation", "annotate it (an empty annotation says: nothing to find)"),
    "blank-text": Kind("warning", "a text without a visible character", "remove the row"),
}

_ANNOTATIONS = {
    "not-in-text": Kind("warning", "an annotated string that the text does not contain", "correct the string or the text"),
    "crossing-spans": Kind("info", "spans that cross", "nothing, where meant: `lines`, `pairs` and `json` can hold them"),
    "nested-spans": Kind("info", "spans inside spans", "nothing, where meant: every format but `bio` can hold them"),
    "same-place": Kind("info", "several types on one span", "nothing, where meant"),
    "names-alike": Kind("warning", "names of the task that differ only in width, case or blanks", "keep one of them"),
    "missed-repeat": Kind(
        "warning",
        "a string without label that is labelled almost everywhere else",
        "look at the places: label them, or write down why they are different",
    ),
}

_TEXTS = {
    "duplicate": Kind("warning", "a text with the same annotation stands again", "keep one; --fix does that in train"),
    "contradiction": Kind("warning", "the same text is annotated differently", "decide which annotation is right"),
    "leak": Kind("warning", "a text that is also in train", "remove it from train; --fix does that"),
    "near-leak": Kind(
        "warning", "a text that is almost one of train", "look at both; remove the one of train where they are one text"
    ),
    "dev-overlap": Kind("warning", "a text of test that is also in dev", "remove it from dev"),
}

_BALANCE = {
    "no-train": Kind("warning", "is not set: there is nothing to train on", "data.train=FILE"),
    "unseen-name": Kind(
        "warning", "a name that no training example shows", "annotate examples of it, or leave it out of the task"
    ),
    "rare-name": Kind(
        "warning", "a name with fewer than 10 training annotations", "annotate more of it; scores of it will vary much"
    ),
    "imbalance": Kind(
        "warning",
        "one name is at least 50 times as frequent as another",
        "annotate more of the rare one; look at its own score",
    ),
    "mostly-empty": Kind(
        "warning", "more than two thirds of the training answers are empty", "check that they are; leave some of them out"
    ),
}

_TOKENS = {
    "too-long": Kind(
        "error",
        "a prompt or answer beyond the budget",
        "raise the budget, or data.on_too_long=window or drop; nothing is cut off",
    ),
    "dropped": Kind("warning", "beyond the budget and left out", "raise prompt.max_input_tokens, or data.on_too_long=window"),
    "windowed": Kind(
        "info", "beyond the budget and cut into windows", "nothing; raise prompt.max_input_tokens for fewer windows"
    ),
    "shortened": Kind("info", "beyond the budget and without its middle", "nothing; raise prompt.max_input_tokens for fewer"),
    "unrepresentable": Kind(
        "error", "an annotation that the answer format cannot hold", "prompt.format=lines holds every set of spans"
    ),
    "lost-characters": Kind(
        "warning",
        "characters that the tokenizer does not give back",
        "choose another base, or replace the characters: the model cannot copy them",
    ),
    "high-fertility": Kind(
        "warning", "more than 1.5 tokens a character", "choose a base whose tokenizer knows the language: shorter and faster"
    ),
}

KINDS: dict[str, Kind] = {**_ROWS, **_ANNOTATIONS, **_TEXTS, **_BALANCE, **_TOKENS}

ROW_CODES = frozenset(_ROWS) - {"unreadable-file", "no-examples", "blank-text"}
"""What `data.on_bad_row: skip` leaves out and counts: then these are warnings."""
