"""Answers of a server on disk, one file each, so that an interrupted run goes on and a repeated one costs nothing.

In: requests. Out: answers. The key is the content of a request: address, model, messages, options; never a secret.
It knows nothing about what requests mean.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from extune.errors import EngineError
from extune.files import hash_text, write_json


@dataclass(frozen=True)
class ServerAnswer:
    """What of a server's answer is kept.

    Attributes:
        text: of the assistant; empty where it wrote nothing.
        finish: `length` where a budget cut it off.
        prompt_tokens, answer_tokens: as the server counts them, None where it does not say.
    """

    text: str
    finish: Literal["stop", "length"]
    prompt_tokens: int | None
    answer_tokens: int | None


class AnswerCache:
    """A folder with a file per request.

    Args:
        folder: None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, url: str, body: dict[str, Any]) -> ServerAnswer | None:
        """The answer to an earlier equal request.

        Raises:
            EngineError: its file is corrupted.
        """
        path = self._path(url, body)
        if path is None or not path.is_file():
            return None
        try:
            return ServerAnswer(**json.loads(path.read_text(encoding="utf-8"))["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"is no answer: {type(error).__name__}",
                where=str(path),
                expected="an answer that extune wrote",
                fix="delete the file; the server is then asked again",
            ) from error

    def keep(self, url: str, body: dict[str, Any], answer: ServerAnswer) -> None:
        """Write an answer, atomically."""
        path = self._path(url, body)
        if path is not None:
            write_json(path, {"url": url, "model": body.get("model"), "answer": asdict(answer)})

    def _path(self, url: str, body: dict[str, Any]) -> Path | None:
        if self._folder is None:
            return None
        key = hash_text(json.dumps([url, body], ensure_ascii=False, sort_keys=True))
        return self._folder / key[:2] / f"{key}.json"
