"""One file of a hub, fetched so that nothing is lost: a cut goes on where it was, and the content is compared with its hash.

In: a file of a listing and a folder. Out: the file in the folder, whole and checked. Until then it is called `NAME.part`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx

from extune.errors import ModelError
from extune.models.hub.refusals import Asked
from extune.models.hub.remote import RemoteFile

Advance = Callable[[int], None]
"""Takes bytes that are there now and were not before; fewer than 0 where they are thrown away."""

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Patience:
    """Seconds.

    Attributes:
        connect: for a connection.
        read: between two pieces of an answer.
        waits: before each further attempt; they begin anew when bytes have arrived.
    """

    connect: float = 10.0
    read: float = 30.0
    waits: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)

    @property
    def timeout(self) -> httpx.Timeout:
        """For a client."""
        return httpx.Timeout(self.read, connect=self.connect)


def open_client(token: str | None, patience: Patience) -> httpx.Client:
    """A client that sends the token to the address that is asked, not to others that it is sent on to."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(headers=headers, follow_redirects=True, timeout=patience.timeout, verify=_certificates())


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes longer than a small file."""
    return httpx.create_ssl_context()


class _WrongContentError(Exception):
    """Bytes arrived that are not those of the file."""


def fetch_file(
    client: httpx.Client, file: RemoteFile, folder: Path, asked: Asked, patience: Patience, advance: Advance
) -> None:
    """Put the file into `folder`, going on from its part where there is one.

    Raises:
        ExtuneError: the hub refuses it, does not answer, or sends something else twice.
    """
    part = folder / f"{file.name}.part"
    advance(_size(part))
    for last in (False, True):
        _receive_all(client, file, part, asked, patience, advance)
        if is_intact(part, file):
            with part.open("rb+") as written:
                os.fsync(written.fileno())
            part.replace(folder / file.name)
            return
        advance(-_size(part))
        part.unlink()
        if last:
            raise ModelError(
                f"{file.name} arrives damaged: its content has not the hash that the hub names",
                where=asked.model,
                expected=f"SHA-256 {file.sha256}" if file.sha256 else f"git hash {file.git_sha1}",
                fix=f"try again later; or {asked.mirror}",
            )
        _LOG.warning("%s: %s arrived damaged; fetching it again", asked.model, file.name)


def is_intact(path: Path, file: RemoteFile) -> bool:
    """True where the content of `path` has the size and the hash that the hub names; what it does not name is not compared."""
    if file.size is not None and _size(path) != file.size:
        return False
    if file.sha256 is None and file.git_sha1 is None:
        return True
    digest = hashlib.sha256() if file.sha256 is not None else hashlib.sha1(usedforsecurity=False)
    if file.sha256 is None:
        digest.update(f"blob {_size(path)}\0".encode())
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == (file.sha256 or file.git_sha1)


def _receive_all(
    client: httpx.Client, file: RemoteFile, part: Path, asked: Asked, patience: Patience, advance: Advance
) -> None:
    """Receive until the part is complete; bytes that arrive renew the patience."""
    waits = list(patience.waits)
    while True:
        before = _size(part)
        try:
            _receive(client, file, part, asked, advance)
            return
        except httpx.TransportError as error:
            waits = list(patience.waits) if _size(part) > before else waits
            if not waits:
                raise asked.unreachable(f"{describe(error)} in {file.name} after {_size(part):,} bytes") from error
            _LOG.info("%s: %s in %s after %d bytes; going on", asked.model, describe(error), file.name, _size(part))
        time.sleep(waits.pop(0))


def _receive(client: httpx.Client, file: RemoteFile, part: Path, asked: Asked, advance: Advance) -> None:
    """Append what is missing. An answer from the beginning, or for a part that is too long, begins anew."""
    have = _size(part)
    if have and have == file.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", file.url, headers=headers) as answer:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise httpx.RemoteProtocolError(f"it answers {answer.status_code}")
        if not answer.is_success and answer.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise asked.status(answer.status_code, file.name)
        if have and not _begins_at(answer, have):
            advance(-have)
            part.unlink()
            if answer.status_code != httpx.codes.OK:
                raise httpx.RemoteProtocolError("another range than the one that was asked for")
        with part.open("ab") as written:
            for chunk in answer.iter_bytes():
                written.write(chunk)
                written.flush()
                advance(len(chunk))
    if file.size is not None and _size(part) < file.size:
        raise httpx.RemoteProtocolError("the answer ended early")


def describe(error: Exception) -> str:
    """A connection's error in a few words; some have none of their own."""
    if isinstance(error, httpx.TimeoutException):
        return "time-out"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def _begins_at(answer: httpx.Response, have: int) -> bool:
    """True for the range that was asked for; a mirror may ignore the question and send the whole file."""
    is_part = answer.status_code == httpx.codes.PARTIAL_CONTENT
    return is_part and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
