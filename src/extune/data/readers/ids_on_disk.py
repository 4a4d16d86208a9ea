"""Ids that were seen and their lines, kept on disk: of a file of any length they take the same memory.

In: strings. Out: numbers. The file has no name and goes with the object.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, MutableMapping


class IdsOnDisk(MutableMapping[str, int]):
    """A mapping in a temporary database, for one thread."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # no name: SQLite's own temporary file
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE ids (id BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __getitem__(self, key: str) -> int:
        found = self._database.execute("SELECT line FROM ids WHERE id = ?", (_to_bytes(key),)).fetchone()
        if found is None:
            raise KeyError(key)
        line: int = found[0]
        return line

    def __setitem__(self, key: str, line: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO ids VALUES (?, ?)", (_to_bytes(key), line))

    def __delitem__(self, key: str) -> None:
        if not self._database.execute("DELETE FROM ids WHERE id = ?", (_to_bytes(key),)).rowcount:
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for (key,) in self._database.execute("SELECT id FROM ids"):
            yield key.decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM ids").fetchone()[0]
        return count


def _to_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
