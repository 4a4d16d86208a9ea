"""A small hub on loopback that speaks Hugging Face's and ModelScope's HTTP, and fails in the ways that hubs fail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs, unquote, urlsplit

Files = Mapping[str, bytes]


def commit_of(files: Files) -> str:
    """What stands for a commit: it follows from the content."""
    return hashlib.sha1(b"".join(name.encode() + content for name, content in files.items())).hexdigest()


@dataclass
class Asked:
    """A request for a file."""

    name: str
    range: str | None
    token: str | None


@dataclass
class HubServer:
    """What the hub holds and how it behaves.

    Attributes:
        models: repository -> revision -> files; the first revision is also the main branch.
        token: where it is set, only who sends it may read.
        gated: models whose terms must be accepted; lists_gated: their lists of files are public all the same.
        redirects: bodies are at another address.
        cuts: of each of the next bodies, the bytes after which the connection breaks.
        damaged: how many of the next bodies have a wrong first byte.
        ignores_ranges: every body is whole.
        lies: bytes added to the sizes in listings.
        names_hashes: of files, in listings; some mirrors do not (Hugging Face's only).
        asked: requests for files so far; listings: number of requests for lists.
    """

    models: dict[str, dict[str, Files]] = field(default_factory=dict)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    lists_gated: bool = False
    redirects: bool = False
    cuts: list[int] = field(default_factory=list)
    damaged: int = 0
    ignores_ranges: bool = False
    lies: int = 0
    names_hashes: bool = True
    asked: list[Asked] = field(default_factory=list)
    listings: int = 0
    url: str = ""

    def find(self, model: str, revision: str) -> tuple[str, Files] | None:
        revisions = self.models[model]
        if revision in ("main", "master"):
            revision = next(iter(revisions))
        for name, files in revisions.items():
            if revision in (name, commit_of(files)):
                return commit_of(files), files
        return None


@contextmanager
def serve_hub(hub: HubServer) -> Iterator[HubServer]:
    """Answer on a free port until the block ends."""
    with _serve(_Http(hub, _Handler)) as hub.url:
        yield hub


@contextmanager
def serve_silence() -> Iterator[str]:
    """A hub that takes connections and never answers."""
    over = Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait()

    with _serve(_Http(HubServer(), Silent)) as url:
        try:
            yield url
        finally:
            over.set()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub


@contextmanager
def _serve(http: _Http) -> Iterator[str]:
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[:3] == ["api", "v1", "models"]:
            model, query = "/".join(parts[3:5]), {key: one for key, (one, *_) in parse_qs(url.query).items()}
            if parts[5:] == ["repo"]:
                self._send_file(model, query["Revision"], query["FilePath"])
            else:
                self._list_modelscope(model, query.get("Revision", "master"))
        elif parts[:2] == ["api", "models"]:
            self._list_hugging_face("/".join(parts[2:4]), parts[5] if parts[4:5] == ["revision"] else "main")
        else:  # ORG/NAME/resolve/COMMIT/FILE
            self._send_file("/".join(parts[:2]), parts[3], parts[4])

    @property
    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _list_hugging_face(self, model: str, revision: str) -> None:
        hub = self.server.hub
        hub.listings += 1
        if self.token not in (None, hub.token):
            return self._send_json(401, {}, ("X-Error-Message", "Invalid credentials in Authorization header"))
        if model in hub.gated and self.token is None and not hub.lists_gated:
            return self._send_json(401, {}, ("X-Error-Code", "GatedRepo"))
        if model not in hub.models:
            return self._send_json(404, {}, ("X-Error-Code", "RepoNotFound"))
        found = hub.find(model, revision)
        if found is None:
            return self._send_json(404, {}, ("X-Error-Code", "RevisionNotFound"))
        siblings = [_sibling(name, content, len(content) + hub.lies) for name, content in found[1].items()]
        if not hub.names_hashes:
            siblings = [{"rfilename": one["rfilename"]} for one in siblings]
        return self._send_json(200, {"id": model, "sha": found[0], "siblings": siblings})

    def _list_modelscope(self, model: str, revision: str) -> None:
        hub = self.server.hub
        hub.listings += 1
        if model in hub.gated and self.token != hub.token and not hub.lists_gated:
            return self._send_json(403, {"Code": 10010101002, "Message": "no permission"})
        if model not in hub.models:
            return self._send_json(404, {"Code": 10010205001, "Message": "not found"})
        found = hub.find(model, revision)
        if found is None:  # as the real one answers
            return self._send_json(200, {"Code": 200, "Data": {"Files": None, "LatestCommitter": None}})
        entries: list[dict[str, object]] = [
            {"Path": "assets", "Type": "tree", "Size": 0, "Revision": "9" * 40, "CommittedDate": 99}
        ]
        commits = [(found[0], 50)] + [("1" * 40, 10)] * len(found[1])  # the newest of a file is that of the whole
        for (name, content), (commit, date) in zip(found[1].items(), commits, strict=False):
            digest = hashlib.sha256(content).hexdigest()
            entry = {"Path": name, "Type": "blob", "Size": len(content) + hub.lies, "Sha256": digest}
            entries.append(entry | {"Revision": commit, "CommittedDate": date})
        return self._send_json(200, {"Code": 200, "Data": {"Files": entries}, "Success": True})

    def _send_json(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        self._send(status, json.dumps(value).encode(), *headers)

    def _send_file(self, model: str, revision: str, name: str) -> None:
        hub, wanted = self.server.hub, self.headers.get("Range")
        found = hub.find(model, revision)
        assert found is not None
        content = found[1][name]
        if hub.redirects and self.headers["Host"].startswith("127.0.0.1"):
            return self._send(302, b"", ("Location", hub.url.replace("127.0.0.1", "localhost") + self.path))
        if model in hub.gated and not hub.redirects and self.token != hub.token:
            return self._send_json(401, {})
        hub.asked.append(Asked(name, wanted, self.token))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and not hub.ignores_ranges else 0
        body = content[start:]
        if hub.damaged:
            hub.damaged -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        cut = hub.cuts.pop(0) if hub.cuts and len(body) > hub.cuts[0] else None
        place = ("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        return self._send(206 if start else 200, body, *([place] if start else []), cut=cut)

    def _send(self, status: int, body: bytes, *headers: tuple[str, str], cut: int | None = None) -> None:
        """The connection is closed after each answer, also after one that is cut."""
        self.send_response(status)
        for header in (("Content-Length", str(len(body))), *headers):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body[:cut])


def _sibling(name: str, content: bytes, size: int) -> dict[str, object]:
    if not name.endswith((".safetensors", ".bin")):
        digest = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        return {"rfilename": name, "size": size, "blobId": digest}
    lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return {"rfilename": name, "size": size, "blobId": "0" * 40, "lfs": lfs}
