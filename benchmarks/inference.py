"""How fast a trained run answers, beside plain `generate`: `python -m benchmarks.inference NAME RUN DATA --what WHAT`.

Every contender answers the same test rows, one after the other, in several rounds; each round begins with another one. A
contender's rows per second are the median of its rounds, a ratio the median of the rounds' ratios. Writes
`benchmarks/results/inference-NAME.json`; `python -m benchmarks.tables` makes the table of it.

The BIO list (`["O", "B-中药", ...]`, a tag per character) is what many projects train. No model here has learned it: each row
is made to go on until its gold answer's length in that format. Its F1 would mean nothing and is left out.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

import extune
from benchmarks.scores import RESULTS, describe_machine
from extune.domain.annotation import Extraction
from extune.domain.example import Example
from extune.domain.prediction import Completion, Prediction, ProblemKind
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions, Engine
from extune.engines.transformers_engine import TransformersEngine
from extune.evaluation.document_counts import count_each
from extune.evaluation.scoring import score_predictions
from extune.evaluation.significance import compare_f1
from extune.files import write_json
from extune.predicting.predictor import Predictor
from extune.tokens.plain_text import decode_completion, encode_text

OURS = "extune"
_GREEDY = DecodingOptions()
_BATCH = 16
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MENTION_PROBLEMS = (ProblemKind.UNPARSEABLE, ProblemKind.UNKNOWN_TYPE, ProblemKind.UNGROUNDED)


class PlainGenerate:
    """`model.generate` in batches of 16 in the rows' order, as scripts do it.

    Args:
        predictor: of the run.
        lengths: tokens that each prompt's answer is made to have; None lets the model end by itself.
    """

    name = "plain"

    def __init__(self, predictor: Predictor, lengths: Callable[[Prompt], int] | None = None) -> None:
        self._model = predictor.engine.model
        self._tokenizer = predictor.encoder.tokenizer
        self._contract = predictor.encoder.contract
        self._lengths = lengths

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt."""
        del options
        starts = range(0, len(prompts), _BATCH)
        return [completion for start in starts for completion in self._batch(prompts[start : start + _BATCH])]

    def _batch(self, prompts: Sequence[Prompt]) -> list[Completion]:
        longest = max(len(prompt.ids) for prompt in prompts)
        gaps = [longest - len(prompt.ids) for prompt in prompts]
        ids = torch.tensor([[0] * gap + list(prompt.ids) for gap, prompt in zip(gaps, prompts, strict=True)])
        mask = torch.tensor([[0] * gap + [1] * len(prompt.ids) for gap, prompt in zip(gaps, prompts, strict=True)])
        stops = list(self._contract.stop_token_ids)
        limits: dict[str, Any] = {"max_new_tokens": self._contract.max_answer_tokens, "eos_token_id": stops}
        if self._lengths is not None:
            lengths = [self._lengths(prompt) for prompt in prompts]
            criteria = StoppingCriteriaList([_AtLength(longest, torch.tensor(lengths))])
            limits = {"max_new_tokens": max(lengths), "eos_token_id": None, "stopping_criteria": criteria}
        with torch.no_grad():
            output = self._model.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **limits)
        answers = output[:, longest:].tolist()
        if self._lengths is not None:
            return [Completion("", "length", length) for length in lengths]
        return [self._read(answer, set(stops)) for answer in answers]

    def _read(self, answer: list[int], stops: set[int]) -> Completion:
        end = next((place for place, token in enumerate(answer) if token in stops), None)
        text = decode_completion(self._tokenizer, answer[:end])
        return Completion(text, "length" if end is None else "stop", len(answer) if end is None else end + 1)


class _AtLength(StoppingCriteria):
    """A row is finished when it has its tokens."""

    def __init__(self, before: int, lengths: torch.Tensor) -> None:
        self._before, self._lengths = before, lengths

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        del scores, kwargs
        return input_ids.shape[1] - self._before >= self._lengths


@dataclass
class Contender:
    """One way to answer, and what it took."""

    name: str
    engine: Engine
    constrain: bool = False
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0

    def complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Answers, with or without the prompts' grammars."""
        asked = list(prompts) if self.constrain else [replace(prompt, grammar=None) for prompt in prompts]
        return self.engine.complete(asked, _GREEDY)


def list_contenders(predictor: Predictor, examples: Sequence[Example]) -> list[Contender]:
    """Plain generation, and extune's engine with each of its switches on and off; the first is what a user gets."""
    tokenizer, contract = predictor.encoder.tokenizer, predictor.encoder.contract
    gold = {example.id: example for example in examples}

    def engine(**switches: int) -> Engine:
        model = predictor.engine.model
        return TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens, **switches)

    def bio_length(prompt: Prompt) -> int:
        return len(encode_text(tokenizer, write_bio_list(gold[prompt.example_id]))) + 1

    return [
        Contender(OURS, engine(), constrain=True),
        Contender(f"{OURS}, no speculation", engine(draft_tokens=0), constrain=True),
        Contender(f"{OURS}, no constraint", engine()),
        Contender(f"{OURS}, neither", engine(draft_tokens=0)),
        Contender(f"plain generate, {contract.format}", PlainGenerate(predictor)),
        Contender("plain generate, BIO list", PlainGenerate(predictor, bio_length)),
    ]


def write_bio_list(example: Example) -> str:
    """Gold as a JSON list of tags."""
    tags = ["O"] * len(example.text)
    if isinstance(example.gold, Extraction):
        for span in example.gold.spans:
            tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
    return json.dumps(tags, ensure_ascii=False)


def run_rounds(contenders: Sequence[Contender], prompts: Sequence[Prompt], rounds: int) -> dict[str, int]:
    """Time every contender in every round; MiB at each one's peak."""
    peaks = {}
    for number in range(rounds):
        for place in range(len(contenders)):
            contender = contenders[(place + number) % len(contenders)]
            _forget_peak()
            began = time.perf_counter()
            completions = contender.complete(prompts)
            contender.seconds.append(time.perf_counter() - began)
            contender.tokens = sum(completion.token_count for completion in completions)
            peaks[contender.name] = max(_read_peak(), peaks.get(contender.name, 0))
            print(f"round {number + 1}: {contender.name}: {contender.seconds[-1]:.1f} s", flush=True)
    return peaks


def time_alone(contender: Contender, prompts: Sequence[Prompt]) -> tuple[float, float]:
    """Milliseconds of one prompt asked alone: median, and what 95 % stay below."""
    times = []
    for prompt in prompts:
        began = time.perf_counter()
        contender.complete([prompt])
        times.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return statistics.median(times), cuts[-1]


def score(predictor: Predictor, contenders: Sequence[Contender], examples: Sequence[Example]) -> dict[str, Any]:
    """F1 and problems of two contenders on all rows; and the first one's F1 minus the second's, 95 % paired interval."""
    results, predictions = {}, {}
    for contender in contenders:
        found = list(Predictor(predictor.encoder, _Through(contender)).predict_many(examples))
        judged = score_predictions(predictor.encoder.task, examples, found, resamples=0)
        kinds = [problem.kind for prediction in found for problem in prediction.problems]
        results[contender.name] = {
            "f1": judged.figures()[judged.headline],
            "unreadable_or_not_verbatim": sum(kind in _MENTION_PROBLEMS for kind in kinds),
            "cut_off": kinds.count(ProblemKind.CUT_OFF) + kinds.count(ProblemKind.CLOSED_EARLY),
        }
        predictions[contender.name] = (judged.to_json(), found)
    ours, free = (_table(*predictions[contender.name], examples) for contender in contenders)
    gain = compare_f1(free, ours)[0]
    return {"readable": results, "constraint_gain": [gain.low, gain.high]}


def _table(judged: Any, found: Sequence[Prediction], examples: Sequence[Example]) -> Any:
    totals = [one.total for one in count_each(judged, examples, found)]
    return np.array([[(prf.tp, prf.fp, prf.fn)] for prf in totals], dtype=np.float64)


class _Through:
    """A contender as an engine."""

    def __init__(self, contender: Contender) -> None:
        self._contender, self.name = contender, contender.name

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        del options
        return self._contender.complete(prompts)


def _forget_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def _read_peak() -> int:
    """MiB of this process at its peak since `_forget_peak`; 0 where the system does not say."""
    lines = _STATUS.read_text(encoding="ascii").splitlines() if _STATUS.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)


def measure(predictor: Predictor, examples: Sequence[Example], rows: int, rounds: int, alone: int) -> dict[str, Any]:
    """All figures of one run on one test set."""
    drawn = Random(17).sample(examples, min(rows, len(examples)))
    prompts = [prompt for example in drawn for prompt in predictor.encoder.encode_prompts(example)]
    contenders = list_contenders(predictor, examples)
    for contender in contenders:
        contender.complete(prompts[:2])
    peaks = run_rounds(contenders, prompts, rounds)
    scores = score(predictor, [contenders[0], contenders[2]], examples)
    figures = []
    for contender in contenders:
        p50, p95 = time_alone(contender, prompts[:alone])
        ratios = [theirs / ours for theirs, ours in zip(contender.seconds, contenders[0].seconds, strict=True)]
        figures.append(
            {
                "name": contender.name,
                "rows_per_second": round(len(drawn) / statistics.median(contender.seconds), 2),
                "extune_is_faster": round(statistics.median(ratios), 2),
                "tokens_per_row": round(contender.tokens / len(drawn), 1),
                "alone_p50_milliseconds": round(p50),
                "alone_p95_milliseconds": round(p95),
                "peak_mebibytes": peaks[contender.name],
                **scores["readable"].get(contender.name, {}),
            }
        )
    return {
        "rows": len(drawn),
        "scored_rows": len(examples),
        "rounds": rounds,
        "constraint_gain": [round(bound, 4) for bound in scores["constraint_gain"]],
        "contenders": figures,
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="test file, in any format that extune reads")
    parser.add_argument("--what", required=True, help="names the data in the table")
    parser.add_argument("--rows", type=int, default=96, help="that are timed, drawn at random")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=20, help="rows that are asked one by one")
    arguments = parser.parse_args()
    predictor = extune.load_predictor(arguments.run, device="cpu")
    examples = list(extune.read_examples(arguments.data, predictor.encoder.task))
    figures = measure(predictor, examples, arguments.rows, arguments.rounds, arguments.alone)
    words = shlex.join([arguments.name, str(arguments.run), str(arguments.data), "--what", arguments.what])
    command = f"python -m benchmarks.inference {words} --rows {arguments.rows} --rounds {arguments.rounds}"
    machine = describe_machine() | {"threads": torch.get_num_threads()}
    result = {"what": arguments.what, "command": command, "machine": machine, **figures}
    write_json(RESULTS / f"inference-{arguments.name}.json", result)
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
