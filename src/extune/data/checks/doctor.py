"""The data doctor: reads every split twice, row by row, and collects what the families of checks find.

In: the `data` section, the task, and a `Tokenizing`. Out: a report. Of a row it keeps hashes and line numbers, never its
text, so its memory is some tens of bytes a row of train (see `repeats`, `near` and `misses`). The first pass runs over test,
dev and train, because train is looked up in the other two; the second looks for strings without label and fetches the
quotations.
"""

from __future__ import annotations

from pathlib import Path

from extune.data.checks.balance import check_balance, count_names, is_empty, list_names
from extune.data.checks.finding import FindingLog, Room, quote_mention, quote_text
from extune.data.checks.fix import write_fixed
from extune.data.checks.misses import Lexicon
from extune.data.checks.names import classify_name, find_alike
from extune.data.checks.near import NearTexts
from extune.data.checks.repeats import Fingerprints
from extune.data.checks.report import CheckReport, SplitFacts
from extune.data.checks.spans import check_overlaps, find_absent
from extune.data.checks.tokens import TokenCheck, Tokenizing
from extune.data.readers.base import RowError
from extune.data.splits import SPLITS, name_split
from extune.data.stream import RowStream, open_stream
from extune.domain.example import Example
from extune.domain.task import Task
from extune.errors import DataError
from extune.recipe.sections import DataSection

_TRAIN: str
_DEV: str
_TEST: str
_TRAIN, _DEV, _TEST = SPLITS


def examine(data: DataSection, task: Task, tokenizing: Tokenizing, fix: Path | None = None) -> CheckReport:
    """Everything that can be said about the data of a recipe; what is wrong with it becomes findings.

    Args:
        data: names the files.
        task: its names are the allowed ones.
        tokenizing: from whoever has a tokenizer.
        fix: a folder for corrected copies of the files; None writes none.

    Raises:
        DataError: `fix` holds something already.
        RecipeError: no reader reads files for this task.
    """
    return _Doctor(data, task, tokenizing).examine(fix)


class _Doctor:
    """What is remembered of the rows that went by."""

    def __init__(self, data: DataSection, task: Task, tokenizing: Tokenizing) -> None:
        self._data, self._task, self._tokenizing = data, task, tokenizing
        self._names = list_names(task)
        self._log = FindingLog(skips_bad_rows=data.on_bad_row == "skip")
        self._streams: dict[str, RowStream] = {}
        self._rooms: dict[str, Room] = {}
        self._facts: dict[str, SplitFacts] = {}
        self._fingerprints = Fingerprints()
        self._near = NearTexts()
        self._lexicon = Lexicon()

    def examine(self, fix: Path | None) -> CheckReport:
        """Both passes, what follows from them, and the corrected files."""
        for split in (_TEST, _DEV, _TRAIN):
            if name_split(self._data, split) is not None:
                self._open(split)
        for split in self._streams:
            self._read(split)
        self._check_recipe()
        self._check_texts()
        self._lexicon.freeze()
        for split in self._streams:
            self._read_again(split)
        for miss in sorted(self._lexicon.misses()):
            detail = f"{quote_mention(miss.text)!r} at {miss.start}, {miss.type} in {miss.labelled} places"
            self._log.add("missed-repeat", self._rooms[miss.split], miss.line, quote=quote_mention(miss.text), detail=detail)
        fixes = None if fix is None else write_fixed(self._streams, self._names, self._fingerprints, fix)
        facts: dict[str, SplitFacts] = {split: self._facts[split] for split in SPLITS if split in self._facts}
        return CheckReport(facts, self._log.findings(), fixes)

    def _open(self, split: str) -> None:
        named = Room(split, str(name_split(self._data, split)))
        try:
            stream = open_stream(self._data, split, self._task)
        except DataError as error:
            self._log.add("unreadable-file", named, None, detail=_one_line(error))
            return
        self._streams[split] = stream
        room = self._rooms[split] = Room(split, str(stream.path))
        self._facts[split] = SplitFacts(room.file, stream.encoding, counts=dict.fromkeys(self._names, 0))

    def _read(self, split: str) -> None:
        """The first pass over one split."""
        facts, room = self._facts[split], self._rooms[split]
        tokens = TokenCheck(self._tokenizing, split, facts)
        try:
            for row in self._streams[split].rows():
                if isinstance(row, RowError):
                    self._add_wrong_row(split, row)
                elif not self._is_beyond_limit(split):
                    self._check_example(split, row, tokens)
        except DataError as error:  # of a reader that reads its file whole
            self._log.add("unreadable-file", room, None, detail=_one_line(error))
            return
        for code, detail in tokens.check_fertility():
            self._log.add(code, room, None, detail=detail)
        if not facts.examples:
            self._log.add(
                "no-examples", room, None, detail=f"{facts.skipped} rows are wrong" if facts.skipped else "it is empty"
            )

    def _is_beyond_limit(self, split: str) -> bool:
        limit = self._data.train_limit
        return split == _TRAIN and limit is not None and self._facts[split].examples >= limit

    def _add_wrong_row(self, split: str, row: RowError) -> None:
        self._facts[split].skipped += 1
        code, detail = row.code, row.what
        if code == "unknown-name":
            code, detail = classify_name(row.subject, self._names)
        self._log.add(code, self._rooms[split], row.line, quote=quote_mention(row.subject), detail=detail)

    def _check_example(self, split: str, example: Example, tokens: TokenCheck) -> None:
        room, line, facts = self._rooms[split], _line(example), self._facts[split]
        facts.examples += 1
        facts.characters += len(example.text)
        if not example.text.strip():
            self._log.add("blank-text", room, line)
        if example.gold is None:
            self._log.add("no-gold", room, line, quote=quote_text(example.text))
            return
        for name, count in count_names(example.gold).items():
            facts.counts[name] = facts.counts.get(name, 0) + count
        facts.empty += is_empty(example.gold)
        for text in find_absent(example):
            self._log.add("not-in-text", room, line, quote=quote_mention(text))
        for code, detail in [*check_overlaps(example.gold), *tokens.check(example)]:
            self._log.add(code, room, line, quote=quote_text(example.text), detail=detail)
        self._fingerprints.add(split, line, example)
        self._lexicon.learn(example)
        if split == _TRAIN:
            self._near.look((split, line), example.text)
        else:
            self._near.expect((split, line), example.text)

    def _check_recipe(self) -> None:
        """What is wrong with the recipe's own names, and with the counts of train."""
        if self._data.train is None:
            self._log.add("no-train", Room(None, "data.train"), None)
        for group in find_alike(self._names):
            self._log.add("names-alike", Room(None, "task"), None, detail=", ".join(map(repr, group)))
        train = self._facts.get(_TRAIN)
        if train is not None and train.examples:
            for code, detail in check_balance(train, self._task):
                self._log.add(code, self._rooms[_TRAIN], None, detail=detail)

    def _check_texts(self) -> None:
        """Texts that stand more than once."""
        for split in self._streams:
            for repeat in sorted(self._fingerprints.repeats(split)):
                code = "duplicate" if repeat.same_gold else "contradiction"
                self._log.add(code, self._rooms[split], repeat.line, detail=f"as line {repeat.first}")
        leaks = set()
        for split, other, code in ((_DEV, _TRAIN, "leak"), (_TEST, _TRAIN, "leak"), (_TEST, _DEV, "dev-overlap")):
            for repeat in self._fingerprints.shared(split, other):
                detail = f"also {self._rooms[other].file}:{repeat.first}" + (
                    "" if repeat.same_gold else ", annotated differently"
                )
                self._log.add(code, self._rooms[split], repeat.line, detail=detail)
                if other == _TRAIN:
                    leaks.add((split, repeat.line))
        for (split, line), (other, by), similarity in sorted(self._near.results()):
            if (split, line) not in leaks:
                detail = f"{similarity:.0%} like {self._rooms[other].file}:{by}"
                self._log.add("near-leak", self._rooms[split], line, detail=detail)

    def _read_again(self, split: str) -> None:
        """The second pass over one split; it ends early where there is nothing to look for."""
        room = self._rooms[split]
        unquoted = self._log.unquoted_lines(room)
        if (self._lexicon.is_empty and not unquoted) or not self._facts[split].examples:
            return
        left = self._facts[split].examples
        for row in self._streams[split].rows():
            if not left:
                break
            if isinstance(row, Example):
                left -= 1
                line = _line(row)
                self._lexicon.scan(split, line, row)
                if line in unquoted:
                    self._log.quote(room, line, row.text)


def _line(example: Example) -> int:
    return example.source.line if example.source is not None else 0


def _one_line(error: DataError) -> str:
    return "; ".join([error.what, *([f"fix: {error.fix}"] if error.fix else [])])
