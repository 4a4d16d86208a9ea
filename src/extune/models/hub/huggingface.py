"""Hugging Face, or a mirror of it. In: a repository. Out: what it has at a revision, and clients that may read it.

Names, tokens and the library's cache are huggingface_hub's. The bytes are not: its `snapshot_download` (1.33) throws a partial
file away when it ends early, and compares sizes, not hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, get_token, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from extune.models.hub.download import Patience, describe, open_client
from extune.models.hub.refusals import Asked
from extune.models.hub.remote import RemoteFile, Snapshot
from extune.recipe.hub_name import HubModel


@dataclass(frozen=True)
class HuggingFace:
    """A repository.

    Attributes:
        token: None for a public model.
        cache: of the library; None: where it is by default.
    """

    model: HubModel
    asked: Asked
    token: str | None
    patience: Patience
    cache: Path | None = None

    @classmethod
    def of(cls, model: HubModel, endpoint: str | None, patience: Patience) -> HuggingFace:
        """The model at the hub itself, or at a mirror."""
        address = (endpoint or constants.ENDPOINT).rstrip("/")
        is_own = address == constants.ENDPOINT.rstrip("/")
        asked = Asked(
            str(model),
            address,
            login="give this machine a token: hf auth login",
            mirror="name a mirror: base.endpoint=https://hf-mirror.com",
            is_own=is_own,
        )
        return cls(model, asked, get_token() if is_own else None, patience)

    def list_files(self, revision: str | None) -> Snapshot:
        """All files at a branch, tag or commit; None is the main branch.

        Raises:
            HubUnreachableError: no answer, or the library is in its offline mode.
            ExtuneError: no such model or revision, or it may not be read.
        """
        api = HfApi(endpoint=self.asked.endpoint, token=self.token or False)
        try:
            info = api.model_info(self.model.repository, revision=revision, files_metadata=True, timeout=self.patience.read)
        except GatedRepoError as error:
            raise self.asked.denied("it is gated") from error
        except RevisionNotFoundError as error:
            raise self.asked.unknown_revision(revision or "main") from error
        except RepositoryNotFoundError as error:
            raise self.asked.unknown_model() from error
        except HfHubHTTPError as error:
            raise self.asked.status(error.response.status_code, "the list of files") from error
        except (httpx.TransportError, OfflineModeIsEnabled) as error:
            raise self.asked.unreachable(describe(error)) from error
        commit = info.sha or ""
        files = (
            RemoteFile(
                one.rfilename,
                hf_hub_url(self.model.repository, one.rfilename, revision=commit, endpoint=self.asked.endpoint),
                size=one.size,
                sha256=one.lfs.sha256 if one.lfs is not None else None,
                git_sha1=one.blob_id if one.lfs is None else None,
            )
            for one in info.siblings or ()
        )
        return Snapshot(commit, tuple(files))

    def connect(self) -> httpx.Client:
        """A client for the files; the token is not sent where they are redirected to another address."""
        return open_client(self.token, self.patience)

    def find_copy(self, commit: str, name: str) -> Path | None:
        """A file that another program already fetched into the library's cache."""
        found = try_to_load_from_cache(self.model.repository, name, cache_dir=self.cache, revision=commit)
        return Path(found) if isinstance(found, str) else None
