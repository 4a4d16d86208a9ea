"""The file formats of other tools, by name: what they are recognised by, how they are read, how they are written.

In: a file and the name of a format, or examples. Out: rows, or a file. What can be lost on either way is counted in it.
extune's own rows and token-label columns are read by `spans`, `rows` and `bio`; here they are written.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Protocol

from extune.data.readers.base import RowError
from extune.data.readers.exchange.base import Export, Imported, RowFormat, kind_of
from extune.data.readers.exchange.brat import Brat
from extune.data.readers.exchange.cluener import Cluener
from extune.data.readers.exchange.cmeee import Cmeee
from extune.data.readers.exchange.doccano import Doccano
from extune.data.readers.exchange.label_studio import LabelStudio
from extune.data.readers.exchange.own_file import OwnFile
from extune.data.readers.exchange.prodigy import Prodigy
from extune.data.readers.exchange.token_labels import TokenLabels
from extune.data.readers.exchange.uie import Uie
from extune.data.readers.tables import BINARY, iter_raw_rows
from extune.domain.task import Task
from extune.errors import DataError

__all__ = ["FOREIGN", "WRITTEN", "Export", "Imported", "is_brat", "kind_of", "recognise"]

_BRAT = Brat()
_ROW_FORMATS: tuple[RowFormat, ...] = (LabelStudio(), Prodigy(), Doccano(), Cluener(), Cmeee(), Uie())
_LOOKED_AT = 100  # rows that may not show the format: texts without entities look alike in several


class ReadFormat(Protocol):
    """What reads a file of another tool."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of task that its files can hold."""

    def read(self, path: Path, codec: str, task: Task | None) -> Imported:
        """All rows of a file; `task` None reads what is there."""


class WrittenFormat(Protocol):
    """What writes a file."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of annotation that it can hold."""

    def render(self, path: Path, export: Export) -> dict[Path, str]:
        """The content of `path`, or of files in it; what is lost is counted in the export, and nothing is written."""


FOREIGN: dict[str, ReadFormat] = {**{one.name: one for one in _ROW_FORMATS}, _BRAT.name: _BRAT}
"""The formats of other tools, by the name of their reader."""

WRITTEN: dict[str, WrittenFormat] = {
    "extune": OwnFile(),
    **{one.name: one for one in _ROW_FORMATS},
    _BRAT.name: _BRAT,
    "bio": TokenLabels("bio"),
    "bioes": TokenLabels("bioes", closes=True),
    "conll": TokenLabels("conll", of_words=True),
}
"""What can be written, by name."""


def is_brat(path: Path) -> bool:
    """Whether a file is a document of brat: no other format is in two files."""
    return _BRAT.recognises_file(path)


def recognise(path: Path, codec: str) -> str | None:
    """The format that a file can only be of, by its first rows; None where none of these is shown."""
    if is_brat(path):
        return _BRAT.name
    if codec == BINARY:
        return None
    try:
        for raw in islice(iter_raw_rows(path, codec), _LOOKED_AT):
            shown = () if isinstance(raw, RowError) else (one.name for one in _ROW_FORMATS if one.recognises(raw.values))
            found = next(iter(shown), None)
            if found is not None:
                return found
    except DataError:
        return None  # broken JSON shows nothing; whoever reads it says where it is broken
    return None
