"""ModelScope, through the public HTTP interface that its own client uses. In: a repository. Out: what it has at a revision.

Its client (1.40) keeps a snapshot under the name of a branch and changes it in place: nothing says which commit was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from extune.models.hub.download import Patience, describe, open_client
from extune.models.hub.refusals import Asked
from extune.models.hub.remote import RemoteFile, Snapshot
from extune.recipe.hub_name import HubModel

ENDPOINT = "https://www.modelscope.cn"
_BRANCH = "master"
_TOKEN = Path(".config", "extune", "modelscope-token")  # under the home folder; ModelScope's own client keeps a pickle


@dataclass(frozen=True)
class ModelScope:
    """A repository; `token` is None for a public model."""

    model: HubModel
    asked: Asked
    token: str | None
    patience: Patience

    @classmethod
    def of(cls, model: HubModel, endpoint: str | None, patience: Patience) -> ModelScope:
        """The model at the hub itself, or at a mirror."""
        address = (endpoint or ENDPOINT).rstrip("/")
        asked = Asked(
            str(model),
            address,
            login=f"write a token of your account into the file ~/{_TOKEN.as_posix()}",
            mirror="take the model from the other hub: base.model=hf:ORG/NAME",
            is_own=address == ENDPOINT,
        )
        return cls(model, asked, _read_token() if asked.is_own else None, patience)

    def list_files(self, revision: str | None) -> Snapshot:
        """All files at a branch, tag or commit; None is the master branch.

        Raises:
            HubUnreachableError: no answer.
            ExtuneError: no such model or revision, or it may not be read.
        """
        asked_for = revision or _BRANCH
        url = f"{self._address}/repo/files"
        try:
            with self.connect() as client:
                answer = client.get(url, params={"Revision": asked_for, "Recursive": "true"})
                if answer.status_code == httpx.codes.NOT_FOUND:
                    raise self._explain_missing(client, asked_for)
        except httpx.TransportError as error:
            raise self.asked.unreachable(describe(error)) from error
        if not answer.is_success:
            raise self.asked.status(answer.status_code, "the list of files")
        entries = _read_files(answer)
        if entries is None:  # what it answers, with status 200, for a revision that it does not know
            raise self.asked.unknown_revision(asked_for)
        blobs = [entry for entry in entries if entry.get("Type") != "tree"]
        commit = _newest_commit(blobs) or asked_for
        return Snapshot(commit, tuple(self._remote_file(entry, commit) for entry in blobs))

    def connect(self) -> httpx.Client:
        """A client for list and files; the token is not sent where they are redirected to another address."""
        client = open_client(self.token, self.patience)
        if self.token:
            client.cookies.set("m_session_id", self.token, domain=httpx.URL(self.asked.endpoint).host)
        return client

    @staticmethod
    def find_copy(commit: str, name: str) -> Path | None:  # noqa: ARG004 (as at the other hub)
        """Nothing: the cache of ModelScope's client does not say of which commit its files are."""
        return None

    @property
    def _address(self) -> str:
        return f"{self.asked.endpoint}/api/v1/models/{self.model.repository}"

    def _explain_missing(self, client: httpx.Client, revision: str) -> Exception:
        exists = client.get(self._address).is_success
        return self.asked.unknown_revision(revision) if exists else self.asked.unknown_model()

    def _remote_file(self, entry: dict[str, Any], commit: str) -> RemoteFile:
        name = str(entry.get("Path") or entry.get("Name") or "")
        url = httpx.URL(f"{self._address}/repo", params={"Revision": commit, "FilePath": name})
        return RemoteFile(name, str(url), size=entry.get("Size"), sha256=entry.get("Sha256") or None)


def _read_token() -> str | None:
    path = Path.home() / _TOKEN
    return path.read_text(encoding="utf-8").strip() or None if path.is_file() else None


def _read_files(answer: httpx.Response) -> list[dict[str, Any]] | None:
    """The entries of a listing; None where it has none."""
    try:
        body = answer.json()
    except ValueError:
        return None
    data = body.get("Data") if isinstance(body, dict) else None
    files = data.get("Files") if isinstance(data, dict) else None
    return files if isinstance(files, list) else None


def _newest_commit(entries: list[dict[str, Any]]) -> str:
    """The last commit that changed a file: at it, all are as they are listed. The listing does not name the branch's own."""
    newest = max(entries, key=lambda entry: entry.get("CommittedDate") or 0, default={})
    return str(newest.get("Revision") or "")
