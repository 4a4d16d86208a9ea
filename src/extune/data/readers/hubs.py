"""Data sets of a hub: `hf:ORG/NAME[@REVISION][:FILE]` and `modelscope:` the same.

In: such a name. Out: the local file or folder that it was downloaded to. Only data files are fetched, never code. It knows
nothing about what is in them.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from extune.data.readers.folders import SUFFIXES
from extune.errors import DataError

_NAME = re.compile(r"(hf|modelscope):([\w.-]+(?:/[\w.-]+)?)(?:@([^:@]+))?(?::([^:]+))?")
_EXTRAS = {
    "hf": ("huggingface_hub", "pip install huggingface_hub"),
    "modelscope": ("modelscope", "pip install 'extune[modelscope]'"),
}


class HubName(NamedTuple):
    """A data set of a hub; `revision` None is the newest, `part` None is all of it, else a file or folder in it."""

    hub: str
    repository: str
    revision: str | None
    part: str | None


def parse_hub_name(value: str) -> HubName | None:
    """The parts of a hub's name, or None where `value` is a path.

    Raises:
        DataError: it begins like a hub's name and does not go on like one.
    """
    if not value.startswith(("hf:", "modelscope:")):
        return None
    match = _NAME.fullmatch(value)
    if match is None:
        raise DataError(
            f"cannot read {value!r} as the name of a data set",
            expected="hf:ORG/NAME, hf:ORG/NAME@REVISION, hf:ORG/NAME:FILE, or the same with modelscope:",
            fix="correct the name",
        )
    return HubName(*match.groups())


def download(name: HubName) -> Path:
    """Where the data set is on this machine, downloaded unless it is there already.

    Raises:
        DataError: the hub's library is not installed, the data set does not exist, or the hub cannot be reached.
    """
    fetch = _fetch_hugging_face if name.hub == "hf" else _fetch_modelscope
    where = f"{name.hub}:{name.repository}"
    try:
        return fetch(name)
    except ImportError:
        library, command = _EXTRAS[name.hub]
        raise DataError(
            f"reading it needs {library}, which is not installed", where=where, expected="the library of the hub", fix=command
        ) from None
    except Exception as error:  # each hub's library raises what it likes; the cause stays attached
        raise DataError(
            f"cannot be downloaded: {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
            where=where,
            expected="a data set of the hub, public or with a token of yours",
            fix="check name, revision and network; or download it by hand and name the folder",
        ) from error


def _fetch_hugging_face(name: HubName) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    if name.part is not None and PurePosixPath(name.part).suffix:
        return Path(hf_hub_download(name.repository, name.part, repo_type="dataset", revision=name.revision))
    patterns = _patterns(name.part)
    return _inside(
        Path(snapshot_download(name.repository, repo_type="dataset", revision=name.revision, allow_patterns=patterns)),
        name.part,
    )


def _fetch_modelscope(name: HubName) -> Path:
    from modelscope.hub.file_download import dataset_file_download
    from modelscope.hub.snapshot_download import dataset_snapshot_download

    if name.part is not None and PurePosixPath(name.part).suffix:
        return Path(dataset_file_download(name.repository, name.part, revision=name.revision))
    patterns = _patterns(name.part)
    folder = dataset_snapshot_download(name.repository, revision=name.revision, allow_patterns=patterns)
    return _inside(Path(folder), name.part)


def _patterns(part: str | None) -> list[str]:
    return [f"{part}/*{suffix}" if part else f"*{suffix}" for suffix in SUFFIXES]


def _inside(folder: Path, part: str | None) -> Path:
    return folder / part if part else folder
