"""The GGUF file. In: weights, an architecture, a vocabulary. Out: one file. It decides nothing about exactness but rounding.

Matrices are written in the chosen type, vectors (norms, biases) always in float32, as llama.cpp wants them. The same run gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from extune.models.gguf.architecture import Architecture
from extune.models.gguf.refusal import refuse
from extune.models.gguf.vocabulary import Vocabulary
from extune.runs.contract import Contract

_MOST_STOPS = 3  # eos, eot and eom: what the format has names for


def write_gguf(
    path: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contract: Contract,
    shape: tuple[Architecture, Vocabulary],
    dtype: str,
) -> None:
    """Write a model as one GGUF file.

    Args:
        path: does not exist yet.
        model: on any device, in any floating type.
        tokenizer: of the run.
        contract: of the run: its name, chat template and stop tokens.
        shape: from `read_architecture` and `read_vocabulary`.
        dtype: of the matrices: `float32`, `bfloat16` or `float16`.

    Raises:
        ModelError: a tensor has no place in the architecture, or its numbers none in `dtype`; too many stop tokens.
    """
    import gguf

    architecture, vocabulary = shape
    kinds = {
        torch.float32: (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
        torch.bfloat16: (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
        torch.float16: (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    }
    kind = getattr(torch, dtype)
    writer = gguf.GGUFWriter(path, architecture.family.name)
    writer.add_type("model")
    writer.add_name(contract.name)
    writer.add_file_type(kinds[kind][1])
    _add_architecture(writer, architecture)
    _add_vocabulary(writer, vocabulary)
    _add_special_tokens(writer, tokenizer, contract.stop_token_ids)
    writer.add_chat_template(contract.chat_template)
    tensors = dict(_name_tensors(model, architecture))
    types = {name: kind if tensor.dim() > 1 else torch.float32 for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        size = tensor.numel() * types[name].itemsize
        writer.add_tensor_info(name, tuple(tensor.shape), numpy.dtype(numpy.float32), size, raw_dtype=kinds[types[name]][0])
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, tensor in tensors.items():  # one at a time: a copy in the file's type need not exist of all of them
            writer.write_tensor_data(_as_bytes(name, tensor, types[name]))
    finally:
        writer.close()


def _add_architecture(writer: Any, architecture: Architecture) -> None:
    import gguf

    writer.add_context_length(architecture.context)
    writer.add_embedding_length(architecture.width)
    writer.add_block_count(architecture.blocks)
    writer.add_feed_forward_length(architecture.inner)
    writer.add_head_count(architecture.heads)
    writer.add_head_count_kv(architecture.kv_heads)
    writer.add_key_length(architecture.head_size)
    writer.add_value_length(architecture.head_size)
    writer.add_layer_norm_rms_eps(architecture.epsilon)
    writer.add_rope_dimension_count(architecture.head_size)
    writer.add_rope_freq_base(architecture.theta)
    writer.add_vocab_size(architecture.rows)
    if architecture.scaling is not None:
        writer.add_rope_scaling_type(gguf.RopeScalingType(architecture.scaling.kind))
        writer.add_rope_scaling_factor(architecture.scaling.factor)
        if architecture.scaling.original is not None:
            writer.add_rope_scaling_orig_ctx_len(architecture.scaling.original)


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.cut)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_add_space_prefix(vocabulary.prefix)


def _add_special_tokens(writer: Any, tokenizer: PreTrainedTokenizerBase, stops: Sequence[int]) -> None:
    """Prompts of a run hold every special token as text, so none is added; the stop tokens end an answer."""
    if len(stops) > _MOST_STOPS:
        raise refuse(f"{len(stops)} stop tokens", where="contract.json", expected=f"at most {_MOST_STOPS}")
    for add, number in zip((writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), stops, strict=False):
        add(number)
    named = ((writer.add_bos_token_id, tokenizer.bos_token_id), (writer.add_pad_token_id, tokenizer.pad_token_id))
    for add, number in (*named, (writer.add_unk_token_id, tokenizer.unk_token_id)):
        if number is not None:
            add(number)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def _name_tensors(model: PreTrainedModel, architecture: Architecture) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors under llama.cpp's names, rows of rotated heads in its order."""
    import gguf

    family = architecture.family
    kind = next(one for one, name in gguf.MODEL_ARCH_NAMES.items() if name == family.name)
    names = gguf.get_tensor_name_map(kind, architecture.blocks)
    for name, tensor in model.state_dict().items():
        if architecture.tied and name == "lm_head.weight":
            continue
        layer, _, part = name.rpartition(".")
        place = names.get_name(layer)
        if place is None or not (part == "weight" or (part == "bias" and layer.endswith(family.biased))):
            raise refuse(f"the tensor {name}", where=family.name, expected="the tensors that llama.cpp reads there")
        heads = {"q_proj": architecture.heads, "k_proj": architecture.kv_heads}.get(layer.rpartition(".")[2])
        yield f"{place}.{part}", interleave(tensor, heads) if family.interleaved and heads else tensor
    if architecture.rope_factors is not None:
        yield "rope_freqs.weight", architecture.rope_factors


def interleave(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from first half, second half to pairs of one row of each: what is rotated together stands together."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def _as_bytes(name: str, tensor: torch.Tensor, kind: torch.dtype) -> numpy.ndarray[Any, Any]:
    written = tensor.to("cpu", kind).contiguous()
    if not bool(torch.isfinite(written).all()):
        raise refuse(f"{name} holds numbers beyond {kind}", where="--dtype", expected="bfloat16 or float32")
    return written.view(torch.uint8).numpy()
