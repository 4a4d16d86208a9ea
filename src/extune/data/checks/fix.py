"""Corrected copies of the files: only what can be said to be right without looking.

In: streams, the task's names and the fingerprints of the texts. Out: `train`, `dev` and `test` in a new folder, in the user's
own format and encoding, and `changes.jsonl` that names every change with file and line. The user's files are only read.

What is changed, and nothing else:
* train loses rows whose text stands in dev or test, and all but the first of rows with equal text and equal annotation;
* names that differ from one name of the task only in width, case or blanks are written as the task does, in every split;
* in BIO files an `I-` becomes `B-` where no part of its entity can stand before it: on the first token of a sentence, or
  behind a token that is labelled `O` and has neither letter nor digit. Elsewhere the label before may as well be the wrong
  one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from extune.data.checks.names import find_variant
from extune.data.checks.repeats import Fingerprints
from extune.data.checks.report import Fixes
from extune.data.readers import bio
from extune.data.stream import RowStream
from extune.errors import DataError

_REPAIRED_SCHEMES = ("BIO", "BIOS")
_TRAIN = "train"


class _Line(NamedTuple):
    """A raw line; `body` is without its end."""

    number: int
    body: str
    end: str


class _Edit(NamedTuple):
    code: str
    what: str


_Removals = Mapping[int, _Edit]
_Note = Callable[[int, _Edit], None]


def write_fixed(streams: Mapping[str, RowStream], names: Sequence[str], fingerprints: Fingerprints, out: Path) -> Fixes:
    """Write corrected copies of the splits into `out`.

    Raises:
        DataError: `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "exists already", where=str(out), expected="a folder that is new or empty", fix="choose another folder for --fix"
        )
    out.mkdir(parents=True, exist_ok=True)
    files, counts, untouched = {}, Counter[str](), {}
    log = out / "changes.jsonl"
    with log.open("w", encoding="utf-8", newline="\n") as changes:
        for split, stream in streams.items():
            if stream.not_lines:
                untouched[split] = stream.not_lines
                continue
            files[split] = out / f"{split}{stream.path.suffix}"
            counts += _write_split(stream, names, _removals(split, streams, fingerprints), files[split], changes)
    return Fixes(files, log, counts, untouched)


def _removals(split: str, streams: Mapping[str, RowStream], fingerprints: Fingerprints) -> dict[int, _Edit]:
    """First lines of the rows of a split that are left out."""
    if split != _TRAIN:
        return {}
    removed = {
        repeat.line: _Edit("duplicate", f"removed: as line {repeat.first}")
        for repeat in fingerprints.repeats(split)
        if repeat.same_gold
    }
    for other in streams:
        if other != _TRAIN:
            for leak in fingerprints.shared(_TRAIN, other):
                removed[leak.line] = _Edit("leak", f"removed: as {streams[other].path}:{leak.first}")
    return removed


def _write_split(stream: RowStream, names: Sequence[str], removals: _Removals, target: Path, changes: TextIO) -> Counter[str]:
    counts: Counter[str] = Counter()

    def note(number: int, edit: _Edit) -> None:
        counts[edit.code] += 1
        change = {"file": str(stream.path), "line": number, "code": edit.code, "change": edit.what}
        changes.write(json.dumps(change, ensure_ascii=False) + "\n")

    fixed = _fix_columns(stream, names, removals, note) if stream.layout else _fix_objects(stream, names, removals, note)
    with target.open("w", encoding=stream.encoding, newline="") as file:
        for line in fixed:
            file.write(line.body + line.end)
    return counts


def _raw_lines(stream: RowStream) -> Iterator[_Line]:
    with stream.path.open(encoding=stream.encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            body = line.removesuffix("\n").removesuffix("\r")
            yield _Line(number, body, line[len(body) :])


def _fix_objects(stream: RowStream, names: Sequence[str], removals: _Removals, note: _Note) -> Iterator[_Line]:
    """The lines of JSONL."""
    for line in _raw_lines(stream):
        if line.number in removals:
            note(line.number, removals[line.number])
        else:
            yield line._replace(body=_rename_in_object(line, names, note))


def _rename_in_object(line: _Line, names: Sequence[str], note: _Note) -> str:
    row = _parse(line.body)
    entities = row.get("entities") if isinstance(row, dict) else None
    renamed = False
    for entity in entities if isinstance(entities, list) else ():
        name = entity.get("type") if isinstance(entity, dict) else None
        right = find_variant(name, names) if isinstance(name, str) and name not in names else None
        if right is not None:
            entity["type"] = right
            note(line.number, _Edit("name-variant", f"{name!r} became {right!r}"))
            renamed = True
    return json.dumps(row, ensure_ascii=False) if renamed else line.body


def _parse(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None  # the row stays as it is; the doctor names it


def _fix_columns(stream: RowStream, names: Sequence[str], removals: _Removals, note: _Note) -> Iterator[_Line]:
    """The lines of token-label columns, sentence by sentence."""
    block: list[_Line] = []
    removing = False
    for line in _raw_lines(stream):
        if not bio.is_separator(line.body):
            block.append(line)
            continue
        removing = bool(block) and block[0].number in removals
        yield from _fix_sentence(stream, names, removals, block, note)
        block = []
        if not (removing and not line.body.strip(" \t")):  # the blank line goes with its sentence
            yield line
    yield from _fix_sentence(stream, names, removals, block, note)


def _fix_sentence(stream: RowStream, names: Sequence[str], removals: _Removals, block: list[_Line], note: _Note) -> list[_Line]:
    if not block:
        return []
    if block[0].number in removals:
        note(block[0].number, removals[block[0].number])
        return []
    renamed = [_rename_in_line(line, names, note) for line in block]
    layout = stream.layout
    if layout is None or layout.scheme.name not in _REPAIRED_SCHEMES:
        return renamed
    return _repair(renamed, layout.by_tab, note)


def _rename_in_line(line: _Line, names: Sequence[str], note: _Note) -> _Line:
    label, type_name = bio.find_label(line.body)
    right = find_variant(type_name, names) if type_name and type_name not in names else None
    if right is None:
        return line
    note(line.number, _Edit("name-variant", f"{type_name!r} became {right!r}"))
    return _relabel(line, label, label[: -len(type_name)] + right)


def _repair(block: list[_Line], by_tab: bool, note: _Note) -> list[_Line]:
    """Turn an `I-` into `B-` where nothing of its entity can stand before it."""
    repaired: list[_Line] = []
    before = ""  # type of the entity that may go on
    for line in block:
        label, type_name = bio.find_label(line.body)
        begins_nothing = label.startswith("I") and type_name != before
        if begins_nothing and (not repaired or _ends_everything(repaired[-1].body, by_tab)):
            note(line.number, _Edit("illegal-bio", f"{label!r} became {'B' + label[1:]!r}"))
            repaired.append(_relabel(line, label, "B" + label[1:]))
        else:
            repaired.append(line)
        before = type_name if label[:1] in ("B", "I") else ""
    return repaired


def _ends_everything(body: str, by_tab: bool) -> bool:
    """True behind a token that is outside and is no part of any word."""
    label, _ = bio.find_label(body)
    return label == "O" and not any(character.isalnum() for character in bio.split_columns(body.rstrip(" \t"), by_tab)[0])


def _relabel(line: _Line, old: str, new: str) -> _Line:
    place = line.body.rindex(old)
    return line._replace(body=line.body[:place] + new + line.body[place + len(old) :])
