"""Any server that speaks OpenAI's chat protocol. In: prompts, of which the messages are sent. Out: completions, in order.

The server renders the messages with its own template, so that nothing here is comparable token by token with a model that
extune runs: the engine serves baselines. What the server writes, however bad, is a completion; that it does not answer, after
all retries, is an error. It knows nothing about tasks and formats.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.answer_cache import AnswerCache, ServerAnswer
from extune.engines.api_key import read_api_key
from extune.engines.engine import DecodingOptions
from extune.engines.pace import Clock, Pace, SystemClock, draw_back_off
from extune.errors import EngineError, RecipeError
from extune.recipe.endpoint import EndpointSection

_RETRIED = frozenset({408, 409, 425, 429})  # and everything from 500 on
_TOO_LONG = ("context_length", "context length", "maximum context", "too long", "too many tokens")
_LONGEST_WAIT = 600.0  # seconds; what asks for more is a spent quota, not a busy server
_QUOTED = 200


@dataclass(frozen=True)
class Usage:
    """What was asked and what it took.

    Attributes:
        answered, cached: requests that the server answered now, and that an earlier run had answered.
        retried: failed attempts that were made again.
        uncounted: of the answers now, those without token counts.
        prompt_tokens, answer_tokens: of the answers now, as the server counts.
        cost: of the answers now; None without prices.
    """

    answered: int = 0
    cached: int = 0
    retried: int = 0
    uncounted: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float | None = None


class _RetryError(Exception):
    """An attempt that is worth another one.

    Args:
        reason: one line.
        wait: seconds that the server asks for; None where it does not.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class OpenAIEngine:
    """Asks a server, several requests at a time.

    Args:
        section: which server, and how it is asked.
        max_answer_tokens: of one answer.
        cache: folder of answers; None keeps none.
        clock: tells the time and waits.

    Raises:
        RecipeError: the environment variable of the key is not set.
    """

    name = "openai"

    def __init__(
        self, section: EndpointSection, max_answer_tokens: int, cache: Path | None = None, clock: Clock | None = None
    ) -> None:
        self._section = section
        self._max_answer_tokens = max_answer_tokens
        self._url = section.base_url.rstrip("/") + "/chat/completions"
        self._cache = AnswerCache(cache)
        self._clock = clock or SystemClock()
        self._pace = Pace(section.requests_per_minute, self._clock)
        self._key = read_api_key(section.api_key_env)
        self._client = httpx.Client(
            headers={} if self._key is None else {"Authorization": f"Bearer {self._key}"},
            timeout=section.timeout,
            limits=httpx.Limits(max_connections=section.concurrency),
            trust_env=False,  # no proxy or certificate comes from the environment unasked
        )
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._counts = dict.fromkeys(("answered", "cached", "retried", "uncounted", "prompt_tokens", "answer_tokens"), 0)

    @property
    def usage(self) -> Usage:
        """Of all calls so far."""
        counts, section = self._counts, self._section
        cost = None
        if section.input_price is not None or section.output_price is not None:
            spent = counts["prompt_tokens"] * (section.input_price or 0.0) + counts["answer_tokens"] * (
                section.output_price or 0.0
            )
            cost = spent / 1e6
        return Usage(**counts, cost=cost)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt, in the order of the prompts; each answer is kept as soon as it is there.

        After an error the engine asks nothing more: make another one.

        Raises:
            EngineError: the server refuses, or does not answer after all retries.
            RecipeError: `repetition_penalty`, which the protocol does not have.
        """
        if options.repetition_penalty != 1.0:
            raise RecipeError(
                f"repetition-penalty is {options.repetition_penalty}",
                where="engine openai",
                expected="1.0: the protocol has no such option",
                fix="leave it out",
            )
        budget = options.token_budget(self._max_answer_tokens)
        bodies = [self._body(prompt, options, budget) for prompt in prompts]
        with ThreadPoolExecutor(self._section.concurrency) as pool:
            answers = [pool.submit(self._answer, body) for body in bodies]
            try:
                for done in as_completed(answers):
                    done.result()
            except BaseException:
                self._stopped.set()
                self._clock.wake()
                pool.shutdown(wait=False, cancel_futures=True)  # what is under way is still kept
                raise
        return [_to_completion(answer.result(), budget) for answer in answers]

    def _body(self, prompt: Prompt, options: DecodingOptions, budget: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._section.model,
            "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "temperature": options.temperature,
            self._section.max_tokens_key: budget,
        }
        if options.temperature > 0:
            body |= {"top_p": options.top_p, "seed": options.seed}
        return body | ({"response_format": {"type": "json_object"}} if self._section.json_mode else {})

    def _answer(self, body: dict[str, Any]) -> ServerAnswer:
        found = self._cache.find(self._url, body)
        if found is not None:
            self._count(cached=1)
            return found
        answer = self._ask(body)
        self._cache.keep(self._url, body, answer)
        self._count(
            answered=1,
            uncounted=int(answer.prompt_tokens is None or answer.answer_tokens is None),
            prompt_tokens=answer.prompt_tokens or 0,
            answer_tokens=answer.answer_tokens or 0,
        )
        return answer

    def _ask(self, body: dict[str, Any]) -> ServerAnswer:
        for failures in range(self._section.max_retries + 1):
            self._pace.wait()
            if self._stopped.is_set():
                raise EngineError("not asked any more: another request failed", where=self._url)
            try:
                return self._attempt(body)
            except _RetryError as error:
                last = error
            if failures == self._section.max_retries or (last.wait or 0.0) > _LONGEST_WAIT:
                break
            self._count(retried=1)
            if last.wait is not None:
                self._pace.hold(last.wait)
            else:
                self._clock.sleep(draw_back_off(failures + 1))
        raise EngineError(
            f"no answer after {failures + 1} attempt(s); the last: {last.reason}" + _describe_wait(last.wait),
            where=self._url,
            expected="an answer in OpenAI's chat protocol",
            fix="run the command again: answers that came are kept. Else a lower engine.concurrency or "
            "engine.requests_per_minute, a longer engine.timeout, or another engine.base_url",
        )

    def _attempt(self, body: dict[str, Any]) -> ServerAnswer:
        try:
            response = self._client.post(self._url, json=body)
        except httpx.TimeoutException:
            raise _RetryError(f"nothing came for {self._section.timeout:g} s") from None
        except httpx.TransportError as error:
            raise _RetryError(f"{type(error).__name__}: {error}"[:_QUOTED]) from None
        if response.status_code in _RETRIED or response.status_code >= 500:
            wait = _read_retry_after(response.headers.get("Retry-After"), self._clock.time())
            raise _RetryError(self._describe(response), wait)
        if response.status_code != httpx.codes.OK:
            return self._read_refusal(response)
        return _read_answer(response)

    def _read_refusal(self, response: httpx.Response) -> ServerAnswer:
        """A prompt beyond the server's context is an answer that failed; anything else is wrong for every row."""
        said = response.text.lower()
        if response.status_code in (400, 413, 422) and any(sign in said for sign in _TOO_LONG):
            return ServerAnswer("", "length", 0, 0)
        fix = "check engine.model and engine.base_url"
        if response.status_code in (401, 403):
            fix = "check the key in the variable that engine.api_key_env names"
        elif response.status_code in (400, 422):
            fix = "check engine.model, engine.json_mode and engine.max_tokens_key against what the server offers"
        raise EngineError(self._describe(response), where=self._url, expected="a request that the server takes", fix=fix)

    def _describe(self, response: httpx.Response) -> str:
        """Status and the server's own words, shortened, without the key should it be among them."""
        words = _read_message(response)
        return f"status {response.status_code}: {_quote(words if self._key is None else words.replace(self._key, '***'))}"

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count


def _to_completion(answer: ServerAnswer, budget: int) -> Completion:
    """Where the server counts no tokens, a cut answer has used up the budget, and of any other the number is given as 0."""
    tokens = answer.answer_tokens
    if tokens is None:
        tokens = budget if answer.finish == "length" else 0
    return Completion(answer.text, answer.finish, tokens)


def _read_answer(response: httpx.Response) -> ServerAnswer:
    try:
        content = response.json()
        choice = content["choices"][0]
        text = choice["message"].get("content")
        usage = content.get("usage") or {}
        return ServerAnswer(
            text=text if isinstance(text, str) else "",
            finish="length" if choice.get("finish_reason") == "length" else "stop",
            prompt_tokens=_read_count(usage.get("prompt_tokens")),
            answer_tokens=_read_count(usage.get("completion_tokens")),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise _RetryError(f"status 200, but no chat completion: {_quote(response.text)}") from None


def _read_count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _read_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date (RFC 9110, 10.2.3); None where it is neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def _describe_wait(wait: float | None) -> str:
    return "" if wait is None else f" (the server asks to wait {wait:.0f} s)"


def _read_message(response: httpx.Response) -> str:
    """The server's own words: `error.message` where the body has it."""
    try:
        said = response.json()
    except ValueError:
        return response.text
    error = said.get("error", said) if isinstance(said, dict) else said
    message = error.get("message", error) if isinstance(error, dict) else error
    return message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return (line[:_QUOTED] + " ...") if len(line) > _QUOTED else line or "an empty answer"
