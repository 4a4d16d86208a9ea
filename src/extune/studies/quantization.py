"""`extune quantize`: merged where there is an adapter, quantised, and held against what was trained.

In: a finished run and a method. Out: `variants/METHOD/`, a run of its own, and the parity of both on a labelled split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extune.data.splits import SPLITS, find_split, require_name
from extune.errors import DataError, RunError
from extune.models.merge import require_mergeable
from extune.runs.contract import Contract
from extune.runs.run_dir import RunDir, read_json
from extune.stages.merge import merge
from extune.stages.parity import MAX_DROP, ParityReport, parity
from extune.stages.quantize import ROWS, QuantizedRun, Tools, quantize, require_free, require_tools

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Plan:
    """What will be done; everything that could be refused beforehand was.

    Attributes:
        run: with what was trained.
        tools: of the method.
        split: that both are held against each other on.
        merged: the run with whole weights that is quantised; `run` itself where it holds them.
        is_merged: False where that run has to be made first.
    """

    run: RunDir
    tools: Tools
    split: str
    merged: RunDir
    is_merged: bool


def plan_quantization(run: RunDir | Path | str, method: str, python: Path | str | None = None, *, split: str = "dev") -> Plan:
    """What `quantize` of this run will do.

    Args:
        run: a finished run with its recipe.
        method: of `models.quantize.QUANTIZED`.
        python: interpreter of an environment with llm-compressor; None: extune's own.
        split: `dev`, `test`, `train`, or a labelled file.

    Raises:
        RunError: the run cannot be merged, or the variant exists already.
        RecipeError: an unknown method, a tool that is not installed, or a split that the recipe does not name.
        DataError: the split's file is missing.
    """
    source = run if isinstance(run, RunDir) else RunDir(Path(run))
    contract = source.contract()
    tools = require_tools(method, python)
    require_free(source.path / "variants" / method)
    _require_split(source, split)
    if contract.weights == "model":
        return Plan(source, tools, split, source, True)
    require_mergeable(source.path, contract)
    merged = RunDir(source.path / "variants" / "merged")
    if merged.path.exists():
        _require_merged_from(merged, contract)
    return Plan(source, tools, split, merged, merged.path.exists())


def merge_first(plan: Plan, device: str | None = None) -> None:
    """Make the merged run that the plan lacks.

    Raises:
        ModelError: the merged weights answer differently.
    """
    if not plan.is_merged:
        merge(plan.run, plan.merged.path, device=device)


def quantize_as_planned(plan: Plan, *, rows: int = ROWS, dtype: str | None = None, device: str | None = None) -> QuantizedRun:
    """Write `variants/METHOD/`; arguments and errors as of `stages.quantize.quantize`."""
    place = plan.run.path / "variants" / plan.tools.method
    return quantize(plan.merged, place, plan.tools, rows=rows, dtype=dtype, device=device)


def hold_against_trained(
    plan: Plan, *, max_drop: float = MAX_DROP, device: str | None = None, progress: Progress | None = None
) -> ParityReport:
    """What was trained and what was quantised, side by side; arguments and errors as of `stages.parity.parity`."""
    variants = (plan.run.contract().weights, plan.tools.method)
    return parity(plan.run, variants=variants, split=plan.split, max_drop=max_drop, device=device, progress=progress)


def _require_split(run: RunDir, split: str) -> None:
    """Refuse what could not be compared afterwards before hours are spent on quantising."""
    data = run.recipe().data
    if split in SPLITS:
        require_name(data, split)
    path = find_split(data, split) if split in SPLITS else Path(split)
    if path is None or not path.exists():
        raise DataError(
            "file not found",
            where=str(path),
            expected=f"labelled examples to hold the quantised run against the trained one ({split})",
            fix="go to the folder that the recipe's paths begin in, or name a file: --split FILE",
        )


def _require_merged_from(merged: RunDir, contract: Contract) -> None:
    merged.contract()
    if read_json(merged.manifest_file).get("merged_from") != contract.weights_hash:
        raise RunError(
            "was not merged from these weights",
            where=str(merged.path),
            expected="the merged variant of this run, or none",
            fix="remove it; extune quantize merges again",
        )
