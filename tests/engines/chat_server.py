"""A server on loopback that speaks OpenAI's chat protocol: scripted, or answering with a model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.prompt import Message, Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.runs.contract import Contract
from extune.tokens.rendering import encode_messages


@dataclass(frozen=True)
class Reply:
    """What the server sends; a body that is a mapping is sent as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[[dict[str, Any]], Reply]


@dataclass
class ChatServer:
    """`requests` and `headers` are what came, in order."""

    respond: Respond
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def chat(text: str | None, tokens: int = 3, finish: str = "stop", prompt_tokens: int = 10) -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    return Reply({"object": "chat.completion", "choices": [choice], "usage": usage})


@contextmanager
def serving(respond: Respond) -> Iterator[ChatServer]:
    """Serve until the block ends."""
    server = ChatServer(respond)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.requests.append(body)
                server.headers.append(dict(self.headers))
            reply = server.respond(body) if self.path == "/v1/chat/completions" else Reply({"error": "no such path"}, 404)
            content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is what some tests are about."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def answer_with(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, contract: Contract) -> Respond:
    """Answers of a model, greedy and unconstrained, the messages rendered by its own chat template."""
    lock = threading.Lock()

    def respond(body: dict[str, Any]) -> Reply:
        messages = [Message(one["role"], one["content"]) for one in body["messages"]]
        ids = encode_messages(tokenizer, contract.chat_template, messages, messages[-1].content)
        engine = TransformersEngine(model, tokenizer, contract.stop_token_ids, body["max_tokens"])
        with lock:
            (done,) = engine.complete([Prompt("served", tuple(messages), tuple(ids), "")], DecodingOptions())
        return chat(done.text, done.token_count, done.finish, len(ids))

    return respond
