"""A run on vLLM. In: a run and its contract. Out: the engine, or why vLLM cannot compute what was trained, and the way on.

How vLLM uses the machine stands in the `engine` section of the run's recipe, the one thing that is read from there: it changes
nothing that is asked or answered, and may be edited for another machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from extune.engines.vllm_engine import Served, VllmEngine
from extune.errors import RunError
from extune.models.base_model import require_safetensors
from extune.models.checkpoint import require_base, require_unchanged
from extune.models.quantize import holds_4_bits
from extune.recipe.engines import VllmSection
from extune.runs.contract import Contract
from extune.runs.run_dir import RunDir, read_json


def open_vllm(run: Path, contract: Contract, tokenizer: PreTrainedTokenizerBase) -> VllmEngine:
    """The engine of a run, with its weights loaded.

    Args:
        run: its directory.
        contract: of the run.
        tokenizer: of the run, checked.

    Raises:
        RecipeError: vLLM is not installed.
        RunError: vLLM cannot compute what the run has trained, or a file is missing or damaged.
        ModelError: the base is not the one that the run was trained on.
        EngineError: vLLM does not start.
    """
    return VllmEngine(find_served(run, contract), tokenizer, read_vllm_section(run))


def find_served(run: Path, contract: Contract) -> Served:
    """What vLLM has to load for a run; weights are checked against the contract.

    Raises:
        RunError: vLLM cannot compute it, or a file is missing or damaged.
        ModelError: the base is not the one that the run was trained on.
    """
    rank = 0
    if contract.weights == "adapter":
        rank = _require_plain_lora(run, contract)
    if contract.min_confidence and contract.constrain:
        least = f"{contract.min_confidence:.3g}"
        raise _refuse(
            run, f"the run leaves out items by confidence ({least}), which vLLM does not tell under a grammar", can_merge=False
        )
    require_unchanged(run, contract)
    if contract.weights == "model":
        model = run / "model"
        require_safetensors(model)
        _require_half_floats(run, contract)
    else:
        model = require_base(contract)
    return Served(
        model=model,
        adapter=run / "adapter" if contract.weights == "adapter" else None,
        rank=rank,
        dtype=contract.dtype,
        stop_token_ids=contract.stop_token_ids,
        max_input_tokens=contract.max_input_tokens,
        max_answer_tokens=contract.max_answer_tokens,
    )


def read_vllm_section(run: Path) -> VllmSection:
    """The `engine` section of the run's recipe where it is vLLM's, else the defaults."""
    place = RunDir(run)
    section = place.recipe().engine if place.recipe_file.is_file() else None
    return section if isinstance(section, VllmSection) else VllmSection()


def _require_half_floats(run: Path, contract: Contract) -> None:
    """Its 4-bit kernels multiply with 16-bit numbers; those for CPUs fail at the first prompt otherwise."""
    if contract.dtype == "float32" and holds_4_bits(run / "model"):
        raise RunError(
            "4-bit weights with float32 beside them, which vLLM does not compute",
            where=str(run / "contract.json"),
            expected="dtype bfloat16 or float16",
            fix="extune quantize with --dtype bfloat16 makes it so; or --engine transformers",
        )


def _require_plain_lora(run: Path, contract: Contract) -> int:
    """The rank of the run's adapter, the largest of its modules."""
    config = read_json(run / "adapter" / "adapter_config.json")
    kind = str(config.get("peft_type"))
    if kind in ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"):
        raise _refuse(run, f"{kind.lower()} learned virtual tokens, which vLLM does not put before prompts", can_merge=False)
    if kind != "LORA":
        raise _refuse(run, f"vLLM does not load adapters of {kind.lower()}", can_merge=True)
    if config.get("use_dora"):
        raise _refuse(run, "vLLM does not load DoRA adapters (adapter.use_dora: true)", can_merge=True)
    if contract.quantization is not None:
        kept = contract.quantization.type
        raise _refuse(
            run, f"the adapter was trained on a base in 4 bits ({kept}), vLLM would use the whole one", can_merge=True
        )
    pattern: dict[str, Any] = config.get("rank_pattern") or {}
    return max([int(config["r"]), *map(int, pattern.values())])


def _refuse(run: Path, what: str, *, can_merge: bool) -> RunError:
    merged = run / "variants" / "merged"
    way = f"extune merge {run}, then --engine vllm with {merged}; or --engine transformers" if can_merge else ""
    return RunError(
        what,
        where=str(run / "adapter"),
        expected="a lora adapter, or whole weights",
        fix=way or "--engine transformers; or train with adapter.method=lora",
    )
