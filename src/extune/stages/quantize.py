"""One variant of `extune quantize`: whole weights become few bits, calibrated on the task's own prompts with their answers.

In: a run with whole weights and a method. Out: a run of its own whose `model/` transformers and vLLM load. It is loaded back
before it takes its place; what it has lost is for `stages/parity` to say.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from extune.data.splits import find_split, read_split
from extune.errors import DataError, ModelError, RecipeError, RunError
from extune.files import atomic_folder, write_json
from extune.models.base_model import choose_device, load_base
from extune.models.checkpoint import (
    hash_weights,
    load_run_tokenizer,
    load_weights,
    require_unchanged,
    save_tokenizer,
    save_weights,
)
from extune.models.compress import Compressor, Job, compress, find_compressor
from extune.models.merge import MOST_DIFFERENCE, last_logits
from extune.models.quantize import QUANTIZED, require_bitsandbytes, require_compressed_tensors, require_whole
from extune.predicting.look_up import find_of, fit_lookup
from extune.predicting.open import build_encoder
from extune.runs.contract import Contract, Quantization, write_contract
from extune.runs.manifest import installed_version, now
from extune.runs.run_dir import RunDir

ROWS = 128
"""Calibration rows: the number of the papers of AWQ and GPTQ."""

_WITH_HALVES = ("awq", "gptq")
_NF4 = Quantization(type="nf4", double=True)
_LOADED_BACK = 2  # prompts that the new weights have to answer with finite numbers


@dataclass(frozen=True)
class Tools:
    """What a method needs, found before anything is computed.

    Attributes:
        method: one of `models.quantize.QUANTIZED`.
        compressor: runs llm-compressor; None for nf4, which bitsandbytes makes in this process.
    """

    method: str
    compressor: Compressor | None


@dataclass(frozen=True)
class Calibration:
    """Rows that ranges and errors are measured on, and the split that they are from. nf4 looks at weights alone."""

    split: str
    rows: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return sum(map(len, self.rows))


@dataclass(frozen=True)
class QuantizedRun:
    """What was written; `before` and `after` are bytes of the weight files."""

    run: RunDir
    calibration: Calibration
    before: int
    after: int


def require_tools(method: str, python: Path | str | None) -> Tools:
    """The tools of a method.

    Args:
        method: one of `models.quantize.QUANTIZED`.
        python: interpreter of an environment with llm-compressor; None: extune's own.

    Raises:
        RecipeError: the method is unknown, or something that it needs is not installed.
    """
    if method not in QUANTIZED:
        raise RecipeError(
            f"unknown method {method!r}", where="--method", expected="one of " + ", ".join(QUANTIZED), fix="--method gptq"
        )
    if method == "nf4":
        require_bitsandbytes("--method nf4")
        return Tools(method, None)
    require_compressed_tensors(f"--method {method}")
    return Tools(method, find_compressor(python))


def require_free(place: Path) -> None:
    """Raise a RunError where something stands at `place` already."""
    if place.exists():
        raise RunError(
            "exists already",
            where=str(place),
            expected="a directory that does not exist yet",
            fix="remove it first, or choose another --method",
        )


def quantize(
    run: RunDir, out: Path, tools: Tools, *, rows: int = ROWS, dtype: str | None = None, device: str | None = None
) -> QuantizedRun:
    """Quantise the weights of a run.

    Args:
        run: with whole weights and its recipe.
        out: the new run.
        tools: from `require_tools`.
        rows: to calibrate on, spread over the training file, or over the dev file where that is not here.
        dtype: of what stays whole and of the computation; None takes the run's own, for awq and gptq at most 16 bits.
        device: of nf4 and of loading back; None takes the fastest one here. llm-compressor takes the fastest one.

    Raises:
        RunError: the run holds no whole weights, or `out` exists.
        RecipeError: its weights are quantised already.
        DataError: there is nothing to calibrate on.
        ModelError: llm-compressor failed, or what was written does not compute.
    """
    contract = run.contract()
    _require_model(run, contract)
    require_free(out)
    kind, chosen = _choose_kind(dtype, contract, tools.method), choose_device(device)
    tokenizer = load_run_tokenizer(run.path, contract)
    calibration = _calibrate_on(run, contract, tokenizer, rows)
    with atomic_folder(out) as folder:
        made = _write_weights(run.path / "model", folder, tools, calibration, (kind, chosen))
        save_tokenizer(tokenizer, folder)
        quantized = contract.model_copy(
            update={
                "weights_hash": hash_weights(folder, "model"),
                "dtype": kind,
                "extune_version": installed_version("extune") or contract.extune_version,
            }
        )
        _require_finite(folder, quantized, calibration, chosen)
        shutil.copyfile(run.recipe_file, folder / run.recipe_file.name)
        origin = {"quantized_from": contract.weights_hash, "finished": now(), "method": tools.method, "dtype": kind}
        write_json(folder / "manifest.json", origin | made)
        write_contract(folder, quantized)
    return QuantizedRun(RunDir(out), calibration, _count_bytes(run.path / "model"), _count_bytes(out / "model"))


def _write_weights(model: Path, folder: Path, tools: Tools, calibration: Calibration, how: tuple[str, str]) -> dict[str, Any]:
    """Write `folder/model` and return what the manifest says of it; `how` is dtype and device."""
    kind, device = how
    if tools.compressor is None:
        save_weights(load_base(model, kind, device, _NF4), folder)
        return {"versions": {"bitsandbytes": installed_version("bitsandbytes")}}
    log = folder.parent / f"{tools.method}.log"
    made = compress(tools.compressor, Job(model, calibration.rows, tools.method, kind), folder / "model", log)
    log.replace(folder / "compress.log")
    return made | {"calibration": {"split": calibration.split, "rows": len(calibration.rows), "tokens": calibration.tokens}}


def _require_model(run: RunDir, contract: Contract) -> None:
    if contract.weights != "model":
        raise RunError(
            "holds no whole weights",
            where=str(run.path),
            expected="a run of full or freeze, or a merged one",
            fix=f"extune merge {run.path}",
        )
    require_whole(run.path / "model", str(run.path))
    require_unchanged(run.path, contract)


def _choose_kind(dtype: str | None, contract: Contract, method: str) -> str:
    """The run's own; with 4 bits of compressed-tensors 16-bit numbers, because vLLM has no other kernels for them."""
    own = "bfloat16" if method in _WITH_HALVES and contract.dtype == "float32" else contract.dtype
    kind = own if dtype is None else dtype
    if kind not in MOST_DIFFERENCE:
        raise RecipeError(
            f"unknown dtype {kind!r}", where="--dtype", expected="one of " + ", ".join(MOST_DIFFERENCE), fix="--dtype bfloat16"
        )
    return kind


def _calibrate_on(run: RunDir, contract: Contract, tokenizer: PreTrainedTokenizerBase, limit: int) -> Calibration:
    """Prompts with their gold answers, as training has seen them, of examples that lie evenly in the file."""
    recipe = run.recipe()
    train = find_split(recipe.data, "train")
    split = "train" if train is not None and train.exists() else "dev"
    examples = read_split(recipe.data, split, recipe.task).examples
    encoder = build_encoder(tokenizer, contract, find_of(fit_lookup(recipe, examples)) if split == "train" else None)
    chosen = examples if len(examples) <= limit else [examples[number * len(examples) // limit] for number in range(limit)]
    rows = [row.ids for example in chosen for row in encoder.encode_rows(example)][:limit]
    if not rows:
        raise DataError(
            "none of its rows can be calibrated on",
            where=f"data.{split}",
            expected="examples with gold that fit into the budgets",
            fix="extune check says what is wrong with the file",
        )
    return Calibration(split, tuple(rows))


def _require_finite(folder: Path, contract: Contract, calibration: Calibration, device: str) -> None:
    """Load the written files as any prediction would, and compute."""
    logits = last_logits(load_weights(folder, contract, device), calibration.rows[:_LOADED_BACK])
    if not bool(logits.isfinite().all()):
        raise ModelError(
            "the quantised weights compute numbers that are not finite",
            where=f"dtype {contract.dtype}",
            expected="finite logits for rows that were calibrated on",
            fix="--dtype float32, or another --method",
        )


def _count_bytes(model: Path) -> int:
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))
