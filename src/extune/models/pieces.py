"""Weights of which each of several processes holds a piece: torch's FSDP2, as transformers loads it.

In: how many processes, or a model whose weights are in pieces. Out: what `from_pretrained` is told, whole tensors. A layer is
gathered when it runs: all processes have to run the model equally often. It knows nothing about training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from transformers.distributed import DistributedConfig

from extune.errors import ModelError


def loading_in_pieces(count: int) -> dict[str, Any]:
    """What `from_pretrained` is told beside the folder: each process reads its pieces of the files and nothing else.

    Args:
        count: of processes; 1 loads the whole.
    """
    return {"distributed_config": DistributedConfig(fsdp_size=count)} if count > 1 else {}


def is_in_pieces(model: torch.nn.Module) -> bool:
    """Whether processes hold pieces of this model's weights."""
    return any(isinstance(part, FSDPModule) for part in model.modules())


def has_trained_pieces(model: torch.nn.Module) -> bool:
    """Whether weights in pieces are trained themselves, and not only an adapter that every process holds whole."""
    return is_in_pieces(model) and not isinstance(model, PeftModel)


def count_gathered(model: PreTrainedModel) -> int:
    """Weights of a model in pieces that are whole at one time while it runs: of its head, a layer and the next one."""
    ends = {id(part.weight): part.weight.numel() for part in (model.get_input_embeddings(), model.get_output_embeddings())}
    layers = sum(weight.numel() for weight in model.parameters()) - sum(ends.values())
    return int(max(ends.values()) + 2 * layers // model.config.get_text_config().num_hidden_layers)


def put_away(model: torch.nn.Module) -> None:
    """Give up what is gathered, in all processes: a pass without gradients leaves the head's weights behind.

    Reading weights to save them gives it up as well, and one process alone does that.
    """
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, gathered where it is in pieces; all processes must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def adapter_state(model: torch.nn.Module) -> dict[str, torch.Tensor] | None:
    """What `save_pretrained` is told of an adapter: it would gather the base's pieces too, in one process. None: nothing."""
    if not is_in_pieces(model):
        return None
    return {name: tensor for name, tensor in model.state_dict().items() if not isinstance(tensor, DTensor)}


def load_into_pieces(model: PreTrainedModel, folder: Path) -> None:
    """Put whole weights that `save_pretrained` wrote back into the pieces; all processes must ask.

    Raises:
        ModelError: the files cannot be read, or belong to another model.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    state: dict[str, Any] = {}
    try:
        if torch.distributed.get_rank() == 0:
            for file in sorted(folder.glob("*.safetensors")):
                state |= load_file(file)
    except (OSError, SafetensorError) as error:
        raise _not_loaded(folder, str(error)) from error
    put_away(model)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
    unexpected = set_model_state_dict(model, state, options=options).unexpected_keys
    if unexpected:
        raise _not_loaded(folder, f"unknown weights {', '.join(sorted(unexpected)[:3])}")


def _not_loaded(folder: Path, reason: str) -> ModelError:
    return ModelError(
        f"the weights cannot be loaded: {reason.strip().splitlines()[0][:200]}",
        where=str(folder),
        expected="weights that this training wrote",
        fix="remove this checkpoint and go on from an earlier one with --resume",
    )
