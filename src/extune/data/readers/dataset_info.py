"""LLaMA-Factory's `dataset_info.json`: a list of data sets with their columns.

In: the file and the name of an entry. Out: where its data is and how its rows are read, in our words. What the entry asks for
and we do not do (preference pairs, images, loading scripts) is an error.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from extune.data.readers.columns import TurnKeys
from extune.errors import DataError
from extune.files import read_text
from extune.recipe.sections import ColumnsSection

_COLUMNS = {  # theirs: ours
    "prompt": "instruction",
    "query": "text",
    "response": "answer",
    "history": "history",
    "system": "system",
    "messages": "messages",
}
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
_REFUSED_KEYS = ("ranking", "script_url", "cloud_file_name", "num_samples", "subset")
_REFUSED_COLUMNS = ("chosen", "rejected", "kto_tag", "images", "videos", "audios")


class Entry(NamedTuple):
    """One data set of the list; `place` is a path, or a hub's name for `locate`."""

    place: str
    columns: ColumnsSection
    turns: TurnKeys


def read_entry(info: Path, name: str) -> Entry:
    """The entry `name` of a `dataset_info.json`.

    Raises:
        DataError: the file is missing or no such list, has no such entry, or the entry asks for what extune does not do.
    """
    where = f"{info}:{name}"
    entries = _parse(info)
    if name not in entries or not isinstance(entries[name], dict):
        close = difflib.get_close_matches(name, entries, n=1)
        raise DataError(
            f"no entry {name!r}" + (f", did you mean {close[0]!r}?" if close else ""),
            where=str(info),
            expected="one of " + ", ".join(list(entries)[:10]),
            fix=f"data.train={info}:NAME",
        )
    entry: Mapping[str, Any] = entries[name]
    columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
    _require_supported(entry, columns, where)
    given = {ours: columns[theirs] for theirs, ours in _COLUMNS.items() if columns.get(theirs)}
    keys = {ours: tags[theirs] for theirs, ours in _TAGS.items() if tags.get(theirs)}
    return Entry(_find_place(info, entry, where), ColumnsSection(**given), TurnKeys(**keys))


def _parse(info: Path) -> dict[str, Any]:
    try:
        entries = json.loads(read_text(info))
    except json.JSONDecodeError as error:
        raise DataError(
            f"not JSON at column {error.colno}: {error.msg}",
            where=f"{info}:{error.lineno}",
            expected="an object with one entry for each data set",
            fix="correct the file",
        ) from None
    if isinstance(entries, dict):
        return entries
    raise DataError(
        f"is a JSON {type(entries).__name__}",
        where=str(info),
        expected="an object with one entry for each data set",
        fix="check the path",
    )


def _require_supported(entry: Mapping[str, Any], columns: Mapping[str, Any], where: str) -> None:
    refused = [key for key in _REFUSED_KEYS if entry.get(key)]
    refused += [f"columns.{key}" for key in _REFUSED_COLUMNS if columns.get(key)]
    if entry.get("formatting", "alpaca") not in ("alpaca", "sharegpt"):
        refused.append(f"formatting: {entry['formatting']}")
    if refused:
        raise DataError(
            f"asks for {', '.join(refused)}, which extune does not do",
            where=where,
            expected="texts with answers: alpaca or sharegpt files or folders, or a data set of a hub",
            fix="name the file in data.train, its columns in data.columns; data.train_limit takes the first N examples",
        )


def _find_place(info: Path, entry: Mapping[str, Any], where: str) -> str:
    folder = f":{entry['folder']}" if entry.get("folder") else ""
    for key, hub in (("hf_hub_url", "hf"), ("ms_hub_url", "modelscope")):
        if entry.get(key):
            return f"{hub}:{entry[key]}{folder}"
    if not entry.get("file_name"):
        raise DataError(
            "names no data", where=where, expected="file_name, hf_hub_url or ms_hub_url", fix="add one of them to the entry"
        )
    return str(info.parent / str(entry["file_name"]))
