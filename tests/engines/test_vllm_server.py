"""The engine that asks a server, against a real one: vLLM's own, serving the embedded base; needs `make test-vllm`."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.example import Example
from extune.engines.engine import DecodingOptions
from extune.engines.openai_engine import OpenAIEngine
from extune.engines.transformers_engine import TransformersEngine
from extune.engines.vllm_engine import is_installed
from extune.models.base_model import EMBEDDED, resolve_base
from extune.recipe.endpoint import EndpointSection
from extune.runs.contract import Contract
from extune.tokens.encode import Encoder

pytestmark = pytest.mark.skipif(not is_installed(), reason="vllm is not in this environment: make test-vllm")

NAME, BUDGET = "embedded", 24
TEXTS = ["黄芪30克，补气固表。", "患者咳嗽三天，予桂枝汤加减，每日一剂。", "当归；白术：甘草\\"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `vllm serve`; ended with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(resolve_base(EMBEDDED))]
    options = ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    limits = ["--max-model-len", "1024", "--max-num-seqs", "4", "--kv-cache-memory-bytes", str(1 << 28), "--enforce-eager"]
    with log.open("wb") as out, subprocess.Popen([*command, *options, *limits], stdout=out, stderr=out) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail("vllm serve ended: " + log.read_text(encoding="utf-8", errors="replace")[-2000:])


def test_a_server_answers_what_the_engine_answers(
    server: str,
    tmp_path: Path,
    base_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    make_contract: Callable[..., Contract],
) -> None:
    prompts = [
        prompt
        for number, text in enumerate(TEXTS)
        for prompt in Encoder(tokenizer, make_contract(constrain=False)).encode_prompts(Example(str(number), text))
    ]
    own = TransformersEngine(base_model, tokenizer, make_contract().stop_token_ids, BUDGET)
    expected = own.complete(prompts, DecodingOptions())
    section = EndpointSection(base_url=server, model=NAME, concurrency=2)
    with closing(OpenAIEngine(section, BUDGET, tmp_path)) as engine:
        answers = engine.complete(prompts, DecodingOptions())
        again = engine.complete(prompts, DecodingOptions())
    assert [(one.text, one.finish) for one in answers] == [(one.text, one.finish) for one in expected]
    assert again == answers
    assert engine.usage.cached == len(prompts)
