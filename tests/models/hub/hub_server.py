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
        gated: models whose terms must be accepted.
        cuts: of each of the next bodies, the bytes after which the connection breaks.
        damaged: how many of the next bodies have a wrong first byte.
        ignores_ranges: every body is whole.
        lies: bytes added to the sizes in listings.
        asked: requests for files so far; listings: number of requests for lists.
    """

    models: dict[str, dict[str, Files]] = field(default_factory=dict)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    damaged: int = 0
    ignores_ranges: bool = False
    lies: int = 0
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
def serve_hub(server: HubServer) -> Iterator[HubServer]:
    """Answer on a free port until the block ends."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@contextmanager
def serve_silence() -> Iterator[str]:
    """A hub that takes connections and never answers."""
    over = Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        over.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(server: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            parts = [unquote(part) for part in url.path.strip("/").split("/")]
            if parts[:3] == ["api", "v1", "models"]:
                self.modelscope("/".join(parts[3:5]), parts[5:], {key: one for key, (one, *_) in parse_qs(url.query).items()})
            elif parts[:2] == ["api", "models"]:
                self.list_hugging_face("/".join(parts[2:4]), parts[5] if parts[4:5] == ["revision"] else "main")
            else:  # ORG/NAME/resolve/COMMIT/FILE
                found = server.find("/".join(parts[:2]), parts[3])
                assert found is not None
                self.send_body(parts[4], found[1][parts[4]])

        def list_hugging_face(self, model: str, revision: str) -> None:
            server.listings += 1
            if self.headers.get("Authorization") not in (None, f"Bearer {server.token}"):
                return self.send_json(401, {}, "X-Error-Message", "Invalid credentials in Authorization header")
            if model in server.gated and self.sent_token() != server.token:
                return self.send_json(401, {}, "X-Error-Code", "GatedRepo")
            if model not in server.models:
                return self.send_json(404, {}, "X-Error-Code", "RepoNotFound")
            found = server.find(model, revision)
            if found is None:
                return self.send_json(404, {}, "X-Error-Code", "RevisionNotFound")
            siblings = []
            for name, content in found[1].items():
                entry = {"rfilename": name, "size": len(content) + server.lies}
                if name.endswith((".safetensors", ".bin")):
                    digest = hashlib.sha256(content).hexdigest()
                    entry |= {"blobId": "0" * 40, "lfs": {"sha256": digest, "size": len(content), "pointerSize": 130}}
                else:
                    entry |= {"blobId": hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()}
                siblings.append(entry)
            return self.send_json(200, {"id": model, "sha": found[0], "siblings": siblings})

        def modelscope(self, model: str, rest: list[str], query: Mapping[str, str]) -> None:
            if rest == ["repo"]:
                found = server.find(model, query["Revision"])
                assert found is not None
                return self.send_body(query["FilePath"], found[1][query["FilePath"]])
            server.listings += 1
            if model in server.gated and self.sent_token() != server.token:
                return self.send_json(403, {"Code": 10010101002, "Message": "no permission"})
            if model not in server.models:
                return self.send_json(404, {"Code": 10010205001, "Message": "not found"})
            found = server.find(model, query.get("Revision", "master"))
            if found is None:  # as the real one answers
                return self.send_json(200, {"Code": 200, "Data": {"Files": None, "LatestCommitter": None}})
            entries = [{"Path": "assets", "Type": "tree", "Size": 0, "Revision": "9" * 40, "CommittedDate": 99}]
            for number, (name, content) in enumerate(found[1].items()):
                last = number == 0  # the commit of the whole is that of the file that changed last
                entries.append(
                    {
                        "Path": name,
                        "Type": "blob",
                        "Size": len(content) + server.lies,
                        "Sha256": hashlib.sha256(content).hexdigest(),
                        "Revision": found[0] if last else "1" * 40,
                        "CommittedDate": 50 if last else 10 - number,
                    }
                )
            return self.send_json(200, {"Code": 200, "Data": {"Files": entries}, "Success": True})

        def sent_token(self) -> str | None:
            return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

        def send_json(self, status: int, value: object, *header: str) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if header:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def send_body(self, name: str, content: bytes) -> None:
            wanted = self.headers.get("Range")
            server.asked.append(Asked(name, wanted, self.sent_token()))
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and not server.ignores_ranges else 0
            body = content[start:]
            if server.damaged and body:
                server.damaged -= 1
                body = bytes([body[0] ^ 1]) + body[1:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = server.cuts.pop(0) if server.cuts and len(body) > server.cuts[0] else None
            self.wfile.write(body[:cut])  # the connection is closed after each answer

    return Handler
