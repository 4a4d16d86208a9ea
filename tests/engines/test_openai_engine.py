"""The engine that asks a server: patience with what passes, errors for what does not, no answer paid for twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.engines.chat_server import ChatServer, Reply, chat, serving

from extune.domain.prediction import Completion
from extune.domain.prompt import Message, Prompt
from extune.engines.engine import DecodingOptions
from extune.engines.openai_engine import OpenAIEngine
from extune.engines.pace import FIRST_BACK_OFF, Pace
from extune.errors import EngineError, RecipeError
from extune.recipe.endpoint import EndpointSection

GREEDY = DecodingOptions()
KEY = "EXTUNE_TEST_KEY"
OPENED: list[OpenAIEngine] = []


@pytest.fixture(autouse=True)
def _connections_are_closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


class FakeClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wake(self) -> None:
        """Nobody waits here."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def ask(text: str) -> Prompt:
    return Prompt(text, (Message("user", text),), (1,), text)


def build(url: str, clock: FakeClock, cache: Path | None = None, **section: Any) -> OpenAIEngine:
    values = {"base_url": url, "model": "m", "concurrency": 1, "max_retries": 3, "timeout": 30} | section
    OPENED.append(OpenAIEngine(EndpointSection(**values), 12, cache, clock))
    return OPENED[-1]


def after(*first: Reply) -> Callable[[dict[str, Any]], Reply]:
    """These replies, then good ones."""
    rest: Iterator[Reply] = iter(first)
    return lambda _: next(rest, chat("好"))


def test_what_is_sent_are_the_messages_and_the_budget(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    turns = (Message("user", "问"), Message("assistant", "答"), Message("user", "再问"))
    with serving(lambda _: chat("好")) as server:
        engine = build(server.url + "/", clock, api_key_env=KEY, json_mode=True, max_tokens_key="max_completion_tokens")
        engine.complete([Prompt("1", turns, (1,), "")], DecodingOptions(max_new_tokens=5))
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            "temperature": 0.0,
            "max_completion_tokens": 5,
            "response_format": {"type": "json_object"},
        }
    ]
    assert server.headers[0]["Authorization"] == "Bearer s3cret"


def test_a_server_that_asks_to_wait_is_obeyed(clock: FakeClock) -> None:
    date = formatdate(clock.now + 7 + 20, usegmt=True)
    busy = [Reply({}, 429, {"Retry-After": "7"}), Reply({}, 503, {"Retry-After": date})]
    with serving(after(*busy)) as server:
        engine = build(server.url, clock)
        assert [one.text for one in engine.complete([ask("甲")], GREEDY)] == ["好"]
    assert clock.slept == [7.0, 20.0]
    assert engine.usage.retried == 2


def test_without_advice_waits_grow_within_their_bounds(clock: FakeClock) -> None:
    with serving(after(*[Reply("oops", 500)] * 3)) as server:
        assert build(server.url, clock).complete([ask("甲")], GREEDY)[0].text == "好"
    assert len(clock.slept) == 3
    assert all(0 <= wait <= FIRST_BACK_OFF * 2**number for number, wait in enumerate(clock.slept))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"error": {"message": "slow down"}}, 429), "status 429: slow down"),
        (Reply({"error": "internal"}, 500), "status 500: internal"),
        (Reply("<html>bad gateway</html>", 502), "status 502: <html>bad gateway"),
        (Reply("<html>hello</html>"), "no chat completion: <html>hello"),
        (Reply(["a list"]), "no chat completion"),
        (Reply({"choices": []}), "no chat completion"),
        (Reply({"choices": [{"message": None}]}), "no chat completion"),
        (Reply(""), "no chat completion: an empty answer"),
    ],
)
def test_what_does_not_pass_is_an_error_with_the_server_s_words(reply: Reply, said: str, clock: FakeClock) -> None:
    with serving(lambda _: reply) as server, pytest.raises(EngineError, match="4 attempt") as caught:
        build(server.url, clock).complete([ask("甲")], GREEDY)
    assert said in str(caught.value)
    assert server.url in str(caught.value)
    assert len(server.requests) == 4


def test_a_server_that_says_nothing(clock: FakeClock) -> None:
    end = threading.Event()

    def silent(_: dict[str, Any]) -> Reply:
        end.wait(20)
        return chat("zu spät")

    with serving(silent) as server:
        with pytest.raises(EngineError, match=r"nothing came for 0\.05 s"):
            build(server.url, clock, timeout=0.05, max_retries=1).complete([ask("甲")], GREEDY)
        end.set()
    assert len(server.requests) == 2


def test_no_server_at_all(clock: FakeClock) -> None:
    with serving(lambda _: chat("")) as gone:
        pass
    with pytest.raises(EngineError, match="2 attempt") as caught:
        build(gone.url, clock, max_retries=1).complete([ask("甲")], GREEDY)
    assert "ConnectError" in str(caught.value)


def test_a_spent_quota_is_not_waited_for(clock: FakeClock) -> None:
    with serving(lambda _: Reply({}, 429, {"Retry-After": "86400"})) as server, pytest.raises(EngineError, match="86400 s"):
        build(server.url, clock).complete([ask("甲")], GREEDY)
    assert (len(server.requests), clock.slept) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_repeated_and_shows_no_key(status: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    refusal = Reply({"error": {"message": "bad key s3cret"}}, status)
    with serving(lambda _: refusal) as server, pytest.raises(EngineError, match=f"status {status}: bad key") as caught:
        build(server.url, clock, api_key_env=KEY).complete([ask("甲")], GREEDY)
    assert "s3cret" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_key_that_is_not_there_is_named(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(RecipeError, match=KEY):
        build("http://127.0.0.1:9/v1", clock, api_key_env=KEY)


def test_an_address_holds_no_secret() -> None:
    with pytest.raises(ValidationError):
        EndpointSection(base_url="https://user:key@example.com/v1", model="m")


def test_any_text_is_an_answer_and_so_is_none(clock: FakeClock) -> None:
    with serving(after(chat("¯\\_(ツ)_/¯"), chat(None), chat("一二", 12, "length"))) as server:
        answers = build(server.url, clock).complete([ask("甲"), ask("乙"), ask("丙")], GREEDY)
    assert answers == [Completion("¯\\_(ツ)_/¯", "stop", 3), Completion("", "stop", 3), Completion("一二", "length", 12)]


def test_a_text_beyond_the_server_s_context_is_one_wrong_answer(clock: FakeClock) -> None:
    refusal = Reply({"error": {"message": "maximum context length is 9 tokens"}}, 400)
    with serving(after(refusal)) as server:
        first, second = build(server.url, clock).complete([ask("甲" * 99), ask("乙")], GREEDY)
    assert (first.text, first.finish) == ("", "length")
    assert second.text == "好"


def test_an_interrupted_run_goes_on_where_it_was(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    prompts = [ask(text) for text in "甲乙丙丁"]
    failing = after(chat("一"), chat("二"), Reply({"error": "no"}, 404))
    with serving(failing) as server:
        with pytest.raises(EngineError):
            build(server.url, clock, tmp_path, api_key_env=KEY).complete(prompts, GREEDY)
        server.respond = lambda body: chat(body["messages"][0]["content"])
        asked = len(server.requests)
        engine = build(server.url, clock, tmp_path, api_key_env=KEY)
        answers = [one.text for one in engine.complete(prompts, GREEDY)]
        kept = engine.usage.cached
        assert answers[:2] == ["一", "二"]
        assert answers[-2:] == ["丙", "丁"] or kept > 2  # 丁 may have been asked before the error was seen
        assert len(server.requests) - asked == engine.usage.answered == len(prompts) - kept
        build(server.url, clock, tmp_path, api_key_env=KEY, model="other").complete(prompts[:1], GREEDY)
        assert server.requests[-1]["model"] == "other"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(prompts) + 1
    assert not any("s3cret" in path.read_text(encoding="utf-8") for path in files)


def test_a_damaged_answer_is_named(clock: FakeClock, tmp_path: Path) -> None:
    with serving(lambda _: chat("好")) as server:
        build(server.url, clock, tmp_path).complete([ask("甲")], GREEDY)
        (path,) = (path for path in tmp_path.rglob("*.json"))
        path.write_text("{", encoding="utf-8")
        with pytest.raises(EngineError, match=path.name):
            build(server.url, clock, tmp_path).complete([ask("甲")], GREEDY)


def test_requests_run_beside_each_other_and_answers_keep_their_order(clock: FakeClock) -> None:
    meeting = threading.Barrier(3, timeout=20)  # passes only where three requests are under way together
    running, most = [0], [0]
    lock = threading.Lock()

    def respond(body: dict[str, Any]) -> Reply:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        meeting.wait()
        with lock:
            running[0] -= 1
        return chat(body["messages"][0]["content"])

    texts = [f"{number}" for number in range(9)]
    with serving(respond) as server:
        answers = build(server.url, clock, concurrency=3).complete([ask(text) for text in texts], GREEDY)
    assert [one.text for one in answers] == texts
    assert most[0] == 3


def test_an_error_ends_the_waits_of_the_others() -> None:
    """On the real clock: the wait that the server asks for is longer than any test may take."""
    waiting = threading.Event()

    def respond(body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "乙":
            waiting.set()
            return Reply({}, 503, {"Retry-After": "500"})
        waiting.wait(20)
        return Reply({"error": "no"}, 404)

    with serving(respond) as server:
        section = EndpointSection(base_url=server.url, model="m", concurrency=2)
        OPENED.append(OpenAIEngine(section, 12))
        with pytest.raises(EngineError, match="404"):
            OPENED[-1].complete([ask("甲"), ask("乙")], GREEDY)
    assert len(server.requests) == 2


def test_requests_are_spaced(clock: FakeClock) -> None:
    pace, begun = Pace(120, clock), []
    for _ in range(5):
        pace.wait()
        begun.append(clock.now - 1000)
    assert begun == [0.0, 0.5, 1.0, 1.5, 2.0]
    clock.now += 60
    pace.wait()
    assert clock.slept == [0.5] * 4, "time that was not used is not owed"


def test_tokens_and_cost_are_counted_once(clock: FakeClock, tmp_path: Path) -> None:
    no_usage = Reply({"choices": [{"message": {"content": "好"}, "finish_reason": "stop"}]})
    with serving(after(chat("一", 5, prompt_tokens=100), chat("二", 7, prompt_tokens=50), no_usage)) as server:
        engine = build(server.url, clock, tmp_path, input_price=2.0, output_price=10.0)
        engine.complete([ask(text) for text in "甲乙丙"], GREEDY)
        engine.complete([ask("甲")], GREEDY)
    usage = engine.usage
    assert (usage.prompt_tokens, usage.answer_tokens, usage.answered, usage.cached, usage.uncounted) == (150, 12, 3, 1, 1)
    assert usage.cost == pytest.approx((150 * 2 + 12 * 10) / 1e6)


def test_a_penalty_that_the_protocol_lacks_is_refused(clock: FakeClock) -> None:
    with serving(lambda _: chat("")) as server, pytest.raises(RecipeError, match="repetition-penalty"):
        build(server.url, clock).complete([ask("甲")], DecodingOptions(repetition_penalty=1.2))
    assert isinstance(server, ChatServer)
    assert server.requests == []
