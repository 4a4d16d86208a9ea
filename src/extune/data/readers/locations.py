"""What a value such as `data.train` names: a path, shipped data, a data set of a hub, or an entry of a `dataset_info.json`.

In: the value. Out: a file or folder on this machine, and how its rows are read where the value tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from extune.data.readers.columns import TurnKeys
from extune.data.readers.dataset_info import read_entry
from extune.data.readers.hubs import download, parse_hub_name
from extune.recipe.sections import ColumnsSection
from extune.recipe.shipped import resolve_data_path

_INFO = "dataset_info.json"


@dataclass(frozen=True)
class Location:
    """A file or folder; `columns` and `turns` as its list of data sets says, None and usual elsewhere."""

    path: Path
    columns: ColumnsSection | None = None
    turns: TurnKeys = field(default_factory=TurnKeys)


def locate(value: str) -> Location:
    """Where the data is; what a hub has is downloaded.

    Raises:
        DataError: a hub's name is wrong or cannot be downloaded, or a list of data sets has no such entry.
    """
    info, colon, name = value.rpartition(":")
    if colon and Path(info).name == _INFO:
        entry = read_entry(Path(info), name)
        return Location(_find(entry.place), entry.columns, entry.turns)
    return Location(_find(value))


def _find(value: str) -> Path:
    hub_name = parse_hub_name(value)
    return resolve_data_path(value) if hub_name is None else download(hub_name)
