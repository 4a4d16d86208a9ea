"""A folder of data files. In: a path and a split's name. Out: the files to read, in order of their names.

Where files or folders in it are named for splits (`train-00000.parquet`, `validation/`), only those of the split are read.
It knows nothing about what is in the files.
"""

from __future__ import annotations

import re
from pathlib import Path

from extune.data.readers.tables import SUFFIXES as ROW_SUFFIXES
from extune.errors import DataError

SUFFIXES = (*ROW_SUFFIXES, ".txt", ".bio", ".conll")
_METADATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_WORDS = {
    "train": {"train", "training"},
    "dev": {"dev", "eval", "val", "valid", "validation"},
    "test": {"test", "testing"},
}


def list_data_files(path: Path, split: str | None = None) -> tuple[Path, ...]:
    """A file itself; of a folder the data files beneath it.

    Args:
        path: a file, which need not exist, or a folder.
        split: `train`, `dev` or `test`; None takes all files.

    Raises:
        DataError: the folder holds no data file, or none for this split.
    """
    if not path.is_dir():
        return (path,)
    files = [file for file in sorted(path.rglob("*")) if _is_data(file.relative_to(path)) and file.is_file()]
    if not files:
        raise DataError(
            "holds no data file",
            where=str(path),
            expected="files that end with one of " + ", ".join(SUFFIXES),
            fix="check the path",
        )
    by_split = {name: [file for file in files if _words(file.relative_to(path)) & words] for name, words in _WORDS.items()}
    if split is None or not any(by_split.values()):
        return tuple(files)
    if not by_split[split]:
        names = ", ".join(str(file.relative_to(path)) for file in files[:5])
        raise DataError(
            f"holds no file named for {split}; there are: {names}",
            where=str(path),
            expected="one of " + ", ".join(sorted(_WORDS[split])) + " in the name of a file or folder",
            fix="name the file itself",
        )
    return tuple(by_split[split])


def list_other_files(path: Path) -> tuple[Path, ...]:
    """Files of a folder that are not read: neither data nor hidden nor a description of the data nor annotations of brat."""
    if not path.is_dir():
        return ()
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    others = (file for file in files if not file.with_suffix(".txt").is_file() or file.suffix != ".ann")
    return tuple(file for file in others if not _is_data(file.relative_to(path)) and not _is_hidden(file.relative_to(path)))


def _is_data(name: Path) -> bool:
    return name.suffix.lower() in SUFFIXES and name.name not in _METADATA and not _is_hidden(name)


def _is_hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _words(name: Path) -> set[str]:
    return set(re.findall("[a-z]+", str(name.with_suffix("")).lower()))
