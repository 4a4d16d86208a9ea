"""A base in 4 bits computes what its 4 bits stand for, in evaluation and in training, before and after."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, load_base, resolve_base
from extune.recipe.adapters import LoraAdapter
from extune.runs.contract import Quantization

pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")

IDS = torch.tensor([[1, 300, 400, 500, 2]])
SECTION = LoraAdapter(r=4, lora_dropout=0)


def quantised(quantization: Quantization) -> PreTrainedModel:
    return load_base(resolve_base(EMBEDDED), "float32", "cpu", quantization)


def with_lora(base: PreTrainedModel) -> PeftModel:
    model = add_adapter(base, SECTION)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = 0.05 * torch.randn_like(parameter)
    return model


def loss_and_gradient(model: PeftModel) -> tuple[float, torch.Tensor]:
    model.train()
    loss = model(IDS).logits.logsumexp(dim=-1).sum()
    loss.backward()
    return loss.item(), torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])


@pytest.mark.parametrize("quantization", [Quantization(type="nf4", double=True), Quantization(type="fp4", double=False)])
def test_loss_and_gradient_are_those_of_the_dequantised_base_also_after_an_evaluation(quantization: Quantization) -> None:
    model = with_lora(quantised(quantization))
    with torch.no_grad():
        evaluated = model.eval()(IDS).logits
    loss, gradient = loss_and_gradient(model)

    plain = with_lora(quantised(quantization).dequantize(dtype=torch.float32))
    with torch.no_grad():
        expected = plain.eval()(IDS).logits
        assert (evaluated - expected).norm() <= 1e-5 * expected.norm()
    expected_loss, expected_gradient = loss_and_gradient(plain)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert (gradient - expected_gradient).norm() <= 1e-4 * expected_gradient.norm()


def test_four_bits_take_less_than_a_third_of_sixteen() -> None:
    whole = load_base(resolve_base(EMBEDDED), "bfloat16", "cpu").model.layers[0].mlp.up_proj.weight
    small = quantised(Quantization(type="nf4", double=True)).model.layers[0].mlp.up_proj.weight
    assert small.numel() * small.element_size() < whole.numel() * whole.element_size() / 3
