"""Converted checkpoints compute what the original code computed, and the usual mistakes of a conversion would be seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from tests.models.legacy.golden_models import FAMILIES, KINDS, TOLERANCE, Converted, Golden, deviation, load_strictly
from transformers import PreTrainedModel

CASES = ("single", "left_pad", "right_pad", "long")


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_logits_loss_and_greedy_continuation_are_the_originals(
    family: str, kind: str, converted: Converted, golden: Golden
) -> None:
    model, logits = load_strictly(converted(family, kind)), golden(family, "golden_logits.safetensors")
    assert {case: deviation(model, logits, case) for case in CASES} == pytest.approx(dict.fromkeys(CASES, 0), abs=TOLERANCE)
    case = {key: logits[f"right_pad.{key}"] for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        assert float(model(**case).loss) == pytest.approx(float(logits["right_pad.loss"]), abs=TOLERANCE)
    assert greedy(model, logits["greedy.prompt_ids"]) == logits["greedy.new_ids"][0].tolist()


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_configs_and_tensors_are_the_expected_ones(family: str, kind: str, converted: Converted, golden: Golden) -> None:
    folder, expected = converted(family, kind), golden(family, "expected_native.json")
    for name in ("config", "generation_config"):
        assert json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) == expected[name]
    tensors = {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    assert tensors.keys() == expected["tensors"].keys()
    for name, tensor in tensors.items():
        assert list(tensor.shape) == expected["tensors"][name]["shape"]
        if (family, name) == ("baichuan2", "lm_head.weight"):
            assert torch.allclose(tensor.norm(dim=1), torch.ones(len(tensor)), atol=1e-6)
        else:
            assert hashlib.sha256(tensor.numpy().tobytes()).hexdigest() == expected["tensors"][name]["sha256"]


def test_eager_attention_agrees_too(converted: Converted, golden: Golden) -> None:
    for family in FAMILIES:
        model = load_strictly(converted(family), attn_implementation="eager")
        assert deviation(model, golden(family, "golden_logits.safetensors"), "left_pad") < TOLERANCE


def test_a_left_padded_batch_continues_as_each_row_alone(converted: Converted, golden: Golden) -> None:
    logits = golden("chatglm3", "golden_logits.safetensors")
    model, ids, mask = (
        load_strictly(converted("chatglm3")), logits["left_pad.input_ids"], logits["left_pad.attention_mask"],
    )  # fmt: skip
    batch = generate(model, ids, attention_mask=mask)
    for row in range(len(ids)):
        assert batch[row].tolist() == greedy(model, ids[row : row + 1][:, mask[row].bool()])


def swap(first: str, second: str) -> Callable[[PreTrainedModel], None]:
    def change(model: PreTrainedModel) -> None:
        for name, tensor in model.state_dict().items():
            if first in name:
                other = model.state_dict()[name.replace(first, second)]
                kept = tensor.clone()
                tensor.copy_(other)
                other.copy_(kept)

    return change


def swap_halves(model: PreTrainedModel) -> None:
    for name, tensor in model.state_dict().items():
        if "gate_up_proj" in name:
            tensor.copy_(torch.cat(tensor.chunk(2)[::-1]))


def drop_biases(model: PreTrainedModel) -> None:
    for name, tensor in model.state_dict().items():
        if name.endswith("bias"):
            tensor.zero_()


def lengthen_head(model: PreTrainedModel) -> None:
    model.lm_head.weight.data *= torch.linspace(0.6, 4.5, len(model.lm_head.weight))[:, None]


def permute_rotary(model: PreTrainedModel) -> None:
    """What other conversions need: pairs of neighbours moved into halves."""
    for name, tensor in model.state_dict().items():
        if "q_proj.weight" in name or "k_proj.weight" in name:
            heads = tensor.view(-1, model.config.head_dim // 2, 2, tensor.shape[1])
            tensor.copy_(heads.transpose(1, 2).reshape(tensor.shape))


WEIGHT_MISTAKES = [
    ("qwen1", swap("gate_proj", "up_proj")),
    ("qwen1", swap("q_proj", "k_proj")),
    ("qwen1", drop_biases),
    ("baichuan1", swap("gate_proj", "up_proj")),
    ("baichuan2", swap("gate_proj", "up_proj")),
    ("baichuan2", lengthen_head),
    ("chatglm2", drop_biases),
    ("chatglm3", swap_halves),
    ("chatglm3", permute_rotary),
]


@pytest.mark.parametrize(("family", "mistake"), WEIGHT_MISTAKES)
def test_a_mistake_in_the_weights_is_seen(
    family: str, mistake: Callable[[PreTrainedModel], None], converted: Converted, golden: Golden
) -> None:
    model = load_strictly(converted(family))
    with torch.no_grad():
        mistake(model)
    assert deviation(model, golden(family, "golden_logits.safetensors"), "single") > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("qwen1", {"rms_norm_eps": 1e-5}),
        ("qwen1", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
        ("chatglm3", {"rms_norm_eps": 1.5625e-7}),
        ("chatglm3", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}}),
    ],
)
def test_a_mistake_in_the_config_is_seen(family: str, changes: dict[str, object], converted: Converted, golden: Golden) -> None:
    model = load_strictly(converted(family), **changes)
    assert deviation(model, golden(family, "golden_logits.safetensors"), "single") > 100 * TOLERANCE


def generate(model: PreTrainedModel, ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    model.generation_config.max_length = None
    settings = {"do_sample": False, "max_new_tokens": 16, "eos_token_id": None, "repetition_penalty": 1.0}
    return model.generate(ids, **settings, **inputs)[:, ids.shape[1] :]


def greedy(model: PreTrainedModel, ids: torch.Tensor) -> list[int]:
    return generate(model, ids)[0].tolist()
