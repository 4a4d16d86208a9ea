"""Wires predictors: from a run directory, from an untrained base, from a model that is being trained.

In: a run or a contract. Out: a `Predictor`. Nothing but the contract decides how texts are asked about.
"""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.engines.engine import DecodingOptions
from extune.engines.transformers_engine import TransformersEngine
from extune.engines.vllm_engine import VllmEngine, require_vllm
from extune.errors import RecipeError, RunError
from extune.models.base_model import choose_device, load_base, load_tokenizer, resolve_base
from extune.models.checkpoint import load_run_tokenizer, load_weights, require_tokenizer
from extune.predicting.answer_room import require_room
from extune.predicting.calibration_file import read_calibration
from extune.predicting.encoding import build_encoder
from extune.predicting.open_vllm import open_vllm
from extune.predicting.predictor import Predictor
from extune.prompts.formats import build_format
from extune.prompts.messages import PROMPT_VERSION
from extune.runs.contract import Contract, read_contract

__all__ = ["ENGINES", "build_encoder", "build_predictor", "load_predictor", "open_base"]

ENGINES = ("transformers", "vllm")


def load_predictor(
    run: Path | str,
    engine: str = "transformers",
    device: str | None = None,
    options: DecodingOptions | None = None,
    *,
    calibrated: bool = True,
) -> Predictor:
    """The predictor of a trained run; its confidences are calibrated where the run has a `calibration.json` for these options.

    Args:
        run: a directory with `contract.json`.
        engine: one of `ENGINES`.
        device: None takes the fastest one here.
        options: None is greedy decoding.
        calibrated: False leaves confidences raw; answers are the same.

    Raises:
        RunError: a file of the run is missing, foreign or corrupted, its tokenizer included; its calibration is stale; or vLLM
            cannot compute it.
        ModelError: the base is not the one that the run was trained on.
        RecipeError: the engine, the device or the base does not exist here, or the budget holds no answer.
        EngineError: vLLM does not start.
    """
    _require_engine(engine, device)
    run = Path(run)
    contract = read_contract(run)
    _require_versions(run, contract)
    if engine == VllmEngine.name:
        tokenizer = load_run_tokenizer(run, contract)
        encoder, options = build_encoder(tokenizer, contract), options or DecodingOptions()
        require_room(encoder, options)
        return Predictor(encoder, open_vllm(run, contract, tokenizer), options)
    chosen = choose_device(device)
    tokenizer = load_run_tokenizer(run, contract)
    calibration = read_calibration(run) if calibrated else None
    predictor = build_predictor(load_weights(run, contract, chosen), tokenizer, contract, options)
    return predictor if calibration is None else calibration.apply_to(predictor)


def open_base(contract: Contract, device: str | None = None, options: DecodingOptions | None = None) -> Predictor:
    """The predictor of a base that nothing was trained on.

    Args:
        contract: from `draft_contract`.
        device: None takes the fastest one here.
        options: None is greedy decoding.

    Raises:
        ModelError: the base is incomplete, or its tokenizer is not the contract's.
        RecipeError: the device or the base does not exist here.
    """
    folder = resolve_base(contract.base, contract.base_revision, contract.base_endpoint)
    tokenizer = load_tokenizer(folder)
    require_tokenizer(tokenizer, contract, str(folder))
    return build_predictor(load_base(folder, contract.dtype, choose_device(device)), tokenizer, contract, options)


def build_predictor(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    contract: Contract,
    options: DecodingOptions | None = None,
) -> Predictor:
    """The predictor of a model in memory, for example the one that is being trained; it always uses the current weights.

    Raises:
        RecipeError: the budget holds no answer.
    """
    encoder, options = build_encoder(tokenizer, contract), options or DecodingOptions()
    require_room(encoder, options)
    engine = TransformersEngine(model, tokenizer, contract.stop_token_ids, contract.max_answer_tokens)
    return Predictor(encoder, engine, options)


def require_engine_of_bases(engine: str) -> None:
    """Raise a RecipeError where an untrained base is asked for on another engine than the one that runs them."""
    if engine != TransformersEngine.name:
        raise RecipeError(
            f"engine {engine} runs trained runs, not untrained bases",
            where="--engine, --base",
            expected="--engine transformers with --base",
            fix="leave one of the two out",
        )


def _require_engine(engine: str, device: str | None) -> None:
    if engine not in ENGINES:
        raise RecipeError(
            f"unknown engine {engine!r}", where="--engine", expected="one of " + ", ".join(ENGINES), fix="--engine transformers"
        )
    if engine == VllmEngine.name:
        require_vllm(device)


def _require_versions(run: Path, contract: Contract) -> None:
    """Refuse a run whose prompts or answers this extune would write differently."""
    expected = {"prompt_version": PROMPT_VERSION, "format_version": build_format(contract.format).version}
    for key, version in expected.items():
        found = getattr(contract, key)
        if found != version:
            raise RunError(
                f"{key} is {found}, this extune writes version {version}",
                where=str(run / "contract.json"),
                expected="a run whose prompts and answers this extune writes in the same way",
                fix=f"predict with extune {contract.extune_version}, or train again",
            )
