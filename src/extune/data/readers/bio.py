"""Token-label columns (BIO, IOB1, BIOS, BIOES and its BMES and BILOU spellings; CoNLL) become examples.

In: the text of a file, token first and label last on each line, columns apart by tabs or spaces, blank lines between
sentences. Out: one row per sentence, and notes on what was decided. It knows nothing about encodings and tasks.

A token may be any character, an ideographic or plain space too: only a tab or a space *after* it ends it.

Joining: offsets count in the joined text. Without a joiner, tokens stand side by side where one of them is Chinese or
Japanese at the seam, or is itself blank; elsewhere a space is put between them. In a file of characters (nine of ten tokens
are one character long) a space only stands between letters or digits of which one token is a longer word: `使用iPhone 7`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from extune.data.readers.base import Lines, Row, RowError, numbered_lines, quote, require_type
from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example, Source

_DOCUMENT_START = "-DOCSTART-"
_BY_TAB = re.compile(r"(\t|[^\t]+)\t(.+)")
_BY_SPACE = re.compile(r"([ \t]|[^ \t]+)[ \t]+(.+)")
_LABEL = re.compile(r"([BIESMLU])[-_](.+)")
_SPELLINGS = {"M": "I", "L": "E", "U": "S"}  # BMES and BILOU in the letters of BIOES
_CHINESE_OR_JAPANESE = re.compile("[\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe10-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]")
_CHARACTER_FILE_SHARE = 0.9


class _Label(NamedTuple):
    prefix: str  # B, I, E, S or O
    type: str

    @property
    def open_type(self) -> str | None:
        """The type of the entity that may go on after this token."""
        return self.type if self.prefix in "BI" else None

    def __str__(self) -> str:
        return f"{self.prefix}-{self.type}" if self.type else self.prefix


class _Token(NamedTuple):
    line: int
    text: str
    label: _Label


class _Scheme(NamedTuple):
    name: str
    closes: bool  # an entity of several tokens must end with E
    inside_begins: bool  # IOB1: I begins an entity too

    def begins(self, before: _Label, label: _Label) -> bool:
        return label.prefix in "BS" or (self.inside_begins and label.prefix == "I" and before.open_type != label.type)


class Layout(NamedTuple):
    """What the sentences of a file have in common."""

    by_tab: bool
    columns: int
    scheme: _Scheme
    of_characters: bool

    @property
    def note(self) -> str:
        """One sentence for the user."""
        separator = "tabs" if self.by_tab else "spaces"
        tokens = "characters" if self.of_characters else "words"
        return f"labels read as {self.scheme.name}; {self.columns} columns apart by {separator}; tokens are {tokens}"


_OUTSIDE = _Label("O", "")
_Sentence = list[_Token] | RowError


def read_rows(path: Path, text: str, names: Sequence[str] | None, joiner: str | None) -> tuple[list[Row], list[str]]:
    """One row per sentence, and notes.

    Args:
        path: for ids and messages.
        text: the whole file, decoded, without byte order mark.
        names: allowed types; None allows all.
        joiner: what stands between two tokens; None follows the rule above.
    """
    lines = partial(numbered_lines, text)
    layout = detect_layout(path, lines)
    return list(iter_rows(path, lines, names, joiner, layout)), [layout.note]


class LenientSentence(NamedTuple):
    """A sentence whose labels need not be legal: the line it begins at, its spans, and the texts of entities that are none."""

    line: int
    text: str
    spans: tuple[Span, ...]
    illegal: tuple[str, ...]


def read_lenient(path: Path, text: str) -> list[LenientSentence | RowError]:
    """What a tagger wrote: labels that may not follow each other make an illegal entity, not a wrong row.

    Args:
        path: for messages.
        text: the whole file, decoded, without byte order mark.
    """
    lines = partial(numbered_lines, text)
    layout = detect_layout(path, lines)
    sentences = (_parse_sentence(path, block, layout.by_tab, layout.columns) for block in split_blocks(lines()))
    return [sentence if isinstance(sentence, RowError) else _read_lenient(sentence, layout) for sentence in sentences]


def _read_lenient(sentence: list[_Token], layout: Layout) -> LenientSentence:
    text, starts = join_tokens([token.text for token in sentence], None, layout.of_characters)
    ends = [start + len(token.text) for start, token in zip(starts, sentence, strict=True)]
    spans, illegal = [], []
    for first, last, is_legal in _find_runs([token.label for token in sentence], layout.scheme):
        string = text[starts[first] : ends[last]]
        if is_legal:
            spans.append(Span(sentence[first].label.type, string, starts[first], ends[last]))
        else:
            illegal.append(string)
    return LenientSentence(sentence[0].line, text, tuple(spans), tuple(illegal))


def _find_runs(labels: list[_Label], scheme: _Scheme) -> Iterator[tuple[int, int, bool]]:
    """First and last token (inclusive) of each run of labels that belong together, and whether it is a legal entity."""
    first: int | None = None
    begun = False
    for place, (before, label) in enumerate(pairwise([_OUTSIDE, *labels, _OUTSIDE])):
        begins = scheme.begins(before, label)
        if label.prefix in "IE" and before.open_type == label.type and not begins:
            continue
        if first is not None:
            yield first, place - 1, begun and not (scheme.closes and before.open_type is not None)
        first, begun = (None, False) if label.prefix == "O" else (place, begins)


def detect_layout(path: Path, lines: Lines) -> Layout:
    """What holds for all sentences of a file; reads it twice and keeps nothing of it."""
    by_tab, columns = _detect_columns(lines)
    seen = _SeenLabels()
    lengths: Counter[int] = Counter()
    for block in split_blocks(lines()):
        sentence = _parse_sentence(path, block, by_tab, columns)
        if isinstance(sentence, list):
            seen.add(sentence)
            lengths.update(len(token.text) for token in sentence)
    return Layout(by_tab, columns, seen.scheme(), mostly_characters(lengths.elements()))


def iter_rows(path: Path, lines: Lines, names: Sequence[str] | None, joiner: str | None, layout: Layout) -> Iterator[Row]:
    """One row per sentence, read when it is asked for; the arguments are those of `read_rows`."""
    for index, block in enumerate(split_blocks(lines()), 1):
        sentence = _parse_sentence(path, block, layout.by_tab, layout.columns)
        yield _build_row(f"{path.stem}-{index}", path, sentence, (layout.scheme, names, joiner, layout.of_characters))


def split_blocks(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """The numbered lines of each sentence, without trailing tabs and spaces."""
    block: list[tuple[int, str]] = []
    for number, raw in lines:
        if not is_separator(raw):
            block.append((number, raw.rstrip(" \t")))
        elif block:
            yield block
            block = []
    if block:
        yield block


def is_separator(line: str) -> bool:
    """True for a line between two sentences."""
    return not line.strip(" \t") or line.startswith(_DOCUMENT_START)


def find_label(line: str) -> tuple[str, str]:
    """The label in the last column as it is written, and the type in it; both may be empty."""
    label = re.split(r"[ \t]+", line.rstrip(" \t"))[-1]
    match = _LABEL.fullmatch(label)
    return label, match[2] if match else ""


def _detect_columns(lines: Lines) -> tuple[bool, int]:
    """Whether tabs separate the columns, and how many there are."""
    tabs: Counter[bool] = Counter()
    counts: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for block in split_blocks(lines()):
        for _, line in block:
            tabs["\t" in line] += 1
            for by_tab, found in counts.items():
                found[len(split_columns(line, by_tab))] += 1
    by_tab = tabs[True] > tabs[False]
    found = counts[by_tab]
    return by_tab, max(2, found.most_common(1)[0][0]) if found else 2


def split_columns(line: str, by_tab: bool) -> list[str]:
    """The columns of a line; the first may be a blank."""
    match = (_BY_TAB if by_tab else _BY_SPACE).fullmatch(line)
    if not match:
        return [line]
    rest = match[2].split("\t") if by_tab else re.split(r"[ \t]+", match[2])
    return [match[1], *rest]


def _parse_sentence(path: Path, block: list[tuple[int, str]], by_tab: bool, columns: int) -> _Sentence:
    tokens = []
    for number, line in block:
        source = Source(str(path), number)
        cells = split_columns(line, by_tab)
        if len(cells) != columns:
            return RowError(
                f"{len(cells)} column(s): {quote(line)}",
                source=source,
                expected=f"{columns} columns (token first, label last) apart by {'tabs' if by_tab else 'spaces'}",
                fix="correct the line; a blank line ends a sentence",
            )
        label = _parse_label(cells[-1])
        if label is None:
            return RowError(
                f"label {quote(cells[-1])} is not understood",
                source=source,
                expected="O, or one of B I E S (M L U) with - and a type, such as B-中药",
                fix="correct the label; it stands in the last column",
            )
        tokens.append(_Token(number, cells[0], label))
    return tokens


def _parse_label(cell: str) -> _Label | None:
    if cell == "O":
        return _OUTSIDE
    match = _LABEL.fullmatch(cell)
    return _Label(_SPELLINGS.get(match[1], match[1]), match[2]) if match else None


class _SeenLabels:
    """Which prefixes are in use, and whether B does anything else than to separate neighbours of one type."""

    def __init__(self) -> None:
        self._prefixes: set[str] = set()
        self._separating: set[bool] = set()

    def add(self, sentence: list[_Token]) -> None:
        """Look at one more sentence."""
        for before, label in pairwise([_OUTSIDE, *(token.label for token in sentence)]):
            self._prefixes.add(label.prefix)
            if label.prefix == "B":
                self._separating.add(before.open_type == label.type)

    def scheme(self) -> _Scheme:
        """By the prefixes in use. IOB1 is believed only where B separates neighbours of one type, and does nothing else."""
        if "E" in self._prefixes:
            return _Scheme("BIOES", closes=True, inside_begins=False)
        if "S" in self._prefixes:
            return _Scheme("BIOS", closes=False, inside_begins=False)
        inside_begins = self._separating == {True}
        return _Scheme("IOB1" if inside_begins else "BIO", closes=False, inside_begins=inside_begins)


def _build_row(
    example_id: str, path: Path, sentence: _Sentence, settings: tuple[_Scheme, Sequence[str] | None, str | None, bool]
) -> Row:
    if isinstance(sentence, RowError):
        return sentence
    scheme, names, joiner, of_characters = settings
    try:
        for token in sentence:
            if token.label.type:
                require_type(token.label.type, names, Source(str(path), token.line))
        _require_legal(path, sentence, scheme)
    except RowError as error:
        return error
    text, starts = join_tokens([token.text for token in sentence], joiner, of_characters)
    spans = [
        Span(sentence[first].label.type, text[starts[first] : end], starts[first], end)
        for first, last in _find_entities([token.label for token in sentence], scheme)
        for end in (starts[last] + len(sentence[last].text),)
    ]
    return Example(example_id, text, Extraction(tuple(spans)), source=Source(str(path), sentence[0].line))


def _require_legal(path: Path, sentence: list[_Token], scheme: _Scheme) -> None:
    """Raise a RowError at the first label that may not follow the one before it."""
    ending = _Token(sentence[-1].line, "", _OUTSIDE)
    before = _OUTSIDE
    for token in [*sentence, ending]:
        label, source = token.label, Source(str(path), token.line)
        continues = label.prefix in "IE" and before.open_type == label.type
        if label.prefix in "IE" and not continues and not scheme.begins(before, label):
            raise RowError(
                f"label {quote(str(label))} follows {quote(str(before))}",
                source=source,
                expected=f"{quote('B-' + label.type)} or {quote('I-' + label.type)} before it ({scheme.name})",
                fix="correct the labels, or data.on_bad_row=skip leaves such sentences out and counts them",
                code="illegal-bio",
            )
        if scheme.closes and before.open_type is not None and not continues:
            raise RowError(
                f"the entity of type {quote(before.open_type)} before {quote(str(label))} has no end",
                source=source,
                expected=f"{quote('E-' + before.open_type)} on its last token, S where it has one token",
                fix="correct the labels, or data.on_bad_row=skip leaves such sentences out and counts them",
                code="illegal-bio",
            )
        before = label


def _find_entities(labels: list[_Label], scheme: _Scheme) -> Iterator[tuple[int, int]]:
    """First and last token (inclusive) of each entity of a legal sentence."""
    first: int | None = None
    for place, (before, label) in enumerate(pairwise([_OUTSIDE, *labels, _OUTSIDE])):
        begins = scheme.begins(before, label)
        if first is not None and (begins or label.prefix == "O"):
            yield first, place - 1
            first = None
        if begins:
            first = place


def mostly_characters(lengths: Iterable[int]) -> bool:
    """Whether tokens of these lengths are those of a file of characters."""
    sizes = Counter(length == 1 for length in lengths)
    return sizes[True] >= _CHARACTER_FILE_SHARE * sizes.total()


def join_tokens(tokens: list[str], joiner: str | None, of_characters: bool) -> tuple[str, list[int]]:
    """The text and the offset at which each token begins; the rule is that of the module."""
    pieces, starts, length = [tokens[0]], [0], len(tokens[0])
    for left, right in pairwise(tokens):
        between = (" " if _is_space_between(left, right, of_characters) else "") if joiner is None else joiner
        starts.append(length + len(between))
        pieces += [between, right]
        length = starts[-1] + len(right)
    return "".join(pieces), starts


def _is_space_between(left: str, right: str, of_characters: bool) -> bool:
    seam = left[-1] + right[0]
    if _CHINESE_OR_JAPANESE.search(seam) or left.isspace() or right.isspace():
        return False
    return not of_characters or (seam.isalnum() and len(left) + len(right) > 2)
