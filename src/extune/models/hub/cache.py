"""Models of a hub on this machine: under their commit, complete or absent, found again without a connection.

In: a hub's name, a revision and an endpoint. Out: a commit, or the folder of its files. It does not know what a base is.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from extune.errors import ModelError
from extune.files import write_text
from extune.models.hub.download import Advance, Patience, fetch_file, is_intact
from extune.models.hub.huggingface import HuggingFace
from extune.models.hub.modelscope import ModelScope
from extune.models.hub.refusals import HubUnreachableError
from extune.models.hub.remote import RemoteFile, choose_files
from extune.recipe.hub_name import HubModel

Inspect = Callable[[Path, Collection[str]], None]
"""Looks at a folder that has its small files and not yet its weights, and at the names of all; raises to stop the download."""

Hub = HuggingFace | ModelScope

_LOG = logging.getLogger(__name__)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FIRST = ("config.json", "tokenizer_config.json")


def hub_root() -> Path:
    """Where downloaded models are kept; they can be deleted at any time."""
    return Path.home() / ".cache" / "extune" / "hub"


def open_hub(model: HubModel, endpoint: str | None, patience: Patience | None = None) -> Hub:
    """The hub of a model, or its mirror at `endpoint`."""
    return (HuggingFace if model.hub == "hf" else ModelScope).of(model, endpoint, patience or Patience())


def find_commit(hub: Hub, revision: str | None) -> str:
    """The commit of a revision; where the hub cannot be reached, the one that it was when it last could.

    Raises:
        ExtuneError: no such model or revision, it may not be read, or there is neither a connection nor a memory of it.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    known = _model_folder(hub.model) / "revisions" / quote(revision or "default", safe="")
    try:
        commit = hub.list_files(revision).commit
    except HubUnreachableError as error:
        if not known.is_file():
            raise
        commit = known.read_text(encoding="utf-8").strip()
        _LOG.warning("%s: %s; taking commit %s, the last that was known", hub.model, error.what, commit[:12])
        return commit
    if not known.is_file() or known.read_text(encoding="utf-8").strip() != commit:
        write_text(known, commit + "\n")
    return commit


def find_downloaded(model: HubModel, revision: str | None) -> Path | None:
    """The folder of a model that is here already, at the commit that its revision last was; nothing is asked for."""
    folder = _model_folder(model)
    known = folder / "revisions" / quote(revision or "default", safe="")
    commit = known.read_text(encoding="utf-8").strip() if known.is_file() else revision
    return folder / commit if commit is not None and (folder / commit / "config.json").is_file() else None


def download_model(hub: Hub, revision: str | None, inspect: Inspect) -> Path:
    """The folder of a model at a revision, downloaded unless it is here.

    Raises:
        ExtuneError: as `find_commit`; or the model is none that `inspect` lets through; or the disk is full.
    """
    commit = find_commit(hub, revision)
    folder = _model_folder(hub.model) / commit
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # several processes may want the same base
        if not folder.is_dir():
            _fill(hub, commit, folder, inspect)
    return folder


def _model_folder(model: HubModel) -> Path:
    return hub_root() / model.hub / model.repository.replace("/", "--")


def _fill(hub: Hub, commit: str, folder: Path, inspect: Inspect) -> None:
    """Fetch everything beside `folder`, which then gets its name; what is interrupted stays there for the next time."""
    files = choose_files(hub.list_files(commit), str(hub.model))
    growing = folder.with_name(f"{commit}.incomplete")
    growing.mkdir(exist_ok=True)
    missing = [file for file in files if not (growing / file.name).is_file() and not _adopt(hub, commit, file, growing)]
    _require_space(hub, missing, growing)
    unnamed = [file.name for file in missing if file.sha256 is None and file.git_sha1 is None]
    if unnamed:
        _LOG.warning("%s: the hub names no hash of %s; only sizes are compared", hub.model, ", ".join(unnamed))
    first = [file for file in missing if file.name in _FIRST]
    with hub.connect() as client, _show_progress(hub, missing) as advance:
        for file in first:
            fetch_file(client, file, growing, hub.asked, hub.patience, advance)
        inspect(growing, {file.name for file in files})
        for file in missing:
            if file not in first:
                fetch_file(client, file, growing, hub.asked, hub.patience, advance)
    growing.replace(folder)


def _adopt(hub: Hub, commit: str, file: RemoteFile, folder: Path) -> bool:
    """Link, or else copy, a file that is on this machine already; True where its content is the right one."""
    found = hub.find_copy(commit, file.name)
    if found is None or (file.sha256 is None and file.git_sha1 is None) or not is_intact(found, file):
        return False
    try:
        os.link(found.resolve(), folder / file.name)
    except OSError:  # another disk, or one without links
        shutil.copyfile(found, folder / file.name)
    return True


def _require_space(hub: Hub, missing: Sequence[RemoteFile], folder: Path) -> None:
    parts = sum(path.stat().st_size for path in folder.glob("*.part"))
    needed, free = sum(file.size or 0 for file in missing) - parts, shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            f"{needed / 1e9:.1f} GB are to be downloaded, {free / 1e9:.1f} GB are free",
            where=str(folder),
            expected="room for the whole model",
            fix=f"make room; or put the model of {hub.model} on another disk and name its folder: base.model=FOLDER",
        )


@contextmanager
def _show_progress(hub: Hub, missing: Sequence[RemoteFile]) -> Iterator[Advance]:
    """A bar on a terminal, and a line for logs."""
    total = sum(file.size or 0 for file in missing)
    if missing:
        size, address = f"{total / 1e9:.2f} GB", hub.asked.endpoint
        _LOG.warning("%s: downloading %d files, %s, from %s, once", hub.model, len(missing), size, address)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(str(hub.model), total=total)
        yield lambda count: bar.advance(task, count)
