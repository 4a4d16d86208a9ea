"""What the processes of a training divide: by DeepSpeed's ZeRO what the optimizer keeps, by torch's FSDP the weights.

In: the recipe's strategy. Out: numbers, and DeepSpeed's configuration, of which the Trainer fills in what stands as "auto".
It knows nothing about models and data. DeepSpeed is an extra: nothing here needs it before several processes divide something.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import patch_environment

from extune.errors import RecipeError
from extune.recipe.sections import ParallelSection
from extune.recipe.strategy import IN_PIECES
from extune.training.processes import this_process

_LOG = logging.getLogger(__name__)
_STAGES = {"zero1": 1, "zero2": 2}


def zero_stage(section: ParallelSection) -> int:
    """What is divided: 0 nothing, 1 the optimizer's states, 2 the gradients too. One process divides nothing."""
    return _STAGES.get(section.strategy, 0) if this_process().count > 1 else 0


def pieces_of(section: ParallelSection) -> int:
    """Processes that hold a piece of every weight of the base each; 1: each holds the whole."""
    return this_process().count if section.strategy in IN_PIECES else 1


def require_strategy(section: ParallelSection) -> None:
    """Say that one process trains alone, and raise a RecipeError where several lack what the strategy needs."""
    if section.strategy == "ddp":
        return
    if this_process().count == 1:
        _LOG.warning(
            "parallel.strategy: %s divides the work of several processes (--nproc); this one does all", section.strategy
        )
    elif section.strategy in _STAGES and find_spec("deepspeed") is None:
        raise RecipeError(
            "deepspeed is not installed",
            where=f"parallel.strategy: {section.strategy}",
            expected="the extra `deepspeed` of extune",
            fix='pip install "extune[deepspeed]", or parallel.strategy=ddp, which computes the same and needs more memory',
        )
    elif section.strategy in IN_PIECES and torch.backends.mps.is_available():
        raise RecipeError(
            "weights are not divided among processes on this machine",
            where=f"parallel.strategy: {section.strategy}",
            expected="GPUs of CUDA, or CPUs: torch's FSDP has no exchange for Apple's GPUs",
            fix="parallel.strategy=ddp",
        )


def deepspeed_config(stage: int, *, autocast: bool) -> dict[str, Any]:
    """What DeepSpeed is told. Trained weights, gradients and their sums over the processes are float32, as without it.

    Args:
        stage: from `zero_stage`, at least 1.
        autocast: matrices are multiplied in bfloat16. DeepSpeed switches off what it was not told of. The empty list keeps
            it from summing gradients in bfloat16.
    """
    return {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "train_batch_size": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,  # torch's own, made by the Trainer
        "zero_optimization": {
            "stage": stage,
            "reduce_bucket_size": "auto",  # else 5e8 numbers are set aside, 2 GB, however few are trained
            "contiguous_gradients": True,
            "overlap_comm": True,
        },
        "torch_autocast": {"enabled": autocast, "dtype": "bfloat16", "lower_precision_safe_modules": []},
    }


def form_group_of_cpus() -> None:
    """Let processes without GPUs meet for DeepSpeed: accelerate (1.15) would choose no backend for them by itself."""
    AcceleratorState._reset_state(reset_partial_state=True)  # as transformers does before each training
    with patch_environment(accelerate_use_deepspeed="true"):
        PartialState(backend="gloo")
