"""Each way in which a training cannot start has its own error, and looking for them changes nothing."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.errors import TrainingError
from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training import span_attention
from extune.training.batches import BatchCollator, target_losses
from extune.training.packed_attention import packed_attention_in
from extune.training.preflight import packing_obstacle, require_first_step, require_rows
from extune.training.trainer import TrainingSetup, train_model

SHAPE = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
LINEAR: dict[str, object] = {
    "num_key_value_heads": 1,
    "head_dim": 16,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
"""Layers that keep a state; the last of each four attends, so with two layers the configuration has none that does."""
COLLATOR = BatchCollator(packing="shared_prefix", max_tokens=1000)


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=1, head_dim=16, attention_dropout=0.3))


@pytest.fixture
def rows() -> list[EncodedRow]:
    draw = random.Random(3)
    made = []
    for number in range(5):
        prompt = [*range(10), *(draw.randrange(20, 90) for _ in range(draw.randrange(2, 12)))]
        made.append(EncodedRow(str(number), (*prompt, 21, 22, 2), len(prompt), ""))
    return made


def test_a_sound_start_passes_and_leaves_everything_as_it_was(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    model.eval()
    before = [parameter.clone() for parameter in model.parameters()]
    random_state = torch.get_rng_state()
    with packed_attention_in(model):
        require_first_step(model, rows, COLLATOR, target_losses)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training
    assert model.config._attn_implementation == "sdpa"


def test_no_row_at_all() -> None:
    with pytest.raises(TrainingError, match="no row"):
        require_rows([])


def test_a_row_without_target_is_named(rows: list[EncodedRow]) -> None:
    with pytest.raises(TrainingError, match="'empty'"):
        require_rows([*rows, EncodedRow("empty", (1, 2), 2, "")])


def test_a_loss_that_is_not_finite(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    torch.nn.init.constant_(model.model.norm.weight, float("inf"))
    with pytest.raises(TrainingError, match="the loss of the first batch"):
        require_first_step(model, rows, BatchCollator(packing="plain", max_tokens=1000), target_losses)


def test_nothing_to_train(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    model.requires_grad_(False)
    with pytest.raises(TrainingError, match="no weight is trainable"):
        require_first_step(model, rows, BatchCollator(packing="plain", max_tokens=1000), target_losses)


def test_weights_that_the_loss_does_not_reach(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    model.requires_grad_(False)
    model.spare = torch.nn.Linear(2, 2)

    def losses(model: PreTrainedModel, pack: dict[str, object]) -> torch.Tensor:
        return target_losses(model, pack) + 0 * model.spare.weight.sum()

    with pytest.raises(TrainingError, match="is zero"):
        require_first_step(model, rows, BatchCollator(packing="plain", max_tokens=1000), losses)


def test_a_pack_that_does_not_fit_in_memory(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    def losses(*_: object) -> torch.Tensor:
        return torch.empty(1 << 60)

    with pytest.raises(TrainingError, match="does not fit in memory"):
        require_first_step(model, rows, COLLATOR, losses)


def test_other_errors_of_the_model_are_not_taken_for_memory(model: PreTrainedModel, rows: list[EncodedRow]) -> None:
    def losses(*_: object) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        require_first_step(model, rows, COLLATOR, losses)


def base(kind: str, **settings: object) -> PreTrainedModel:
    """A tiny model of this architecture."""
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE, **settings))


def test_layers_with_a_window_are_packed_only_where_they_see_the_whole_row(model: PreTrainedModel) -> None:
    mistral = base("mistral", num_key_value_heads=1, sliding_window=8)
    assert packing_obstacle(model) is None
    assert "8 tokens" in str(packing_obstacle(mistral))
    assert "8 tokens" in str(packing_obstacle(mistral, longest=9))
    assert packing_obstacle(mistral, longest=8) is None


@pytest.mark.parametrize(
    ("kind", "settings", "word"),
    [
        ("gemma2", {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8}, "8 tokens"),
        ("gemma3_text", {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8}, "8 tokens"),
        ("qwen3_next", LINEAR, "state"),
        ("mamba", {}, "state"),
        ("bloom", {}, "interface"),
    ],
)
def test_architectures_that_cannot_be_packed_are_recognised(kind: str, settings: dict[str, object], word: str) -> None:
    assert word in str(packing_obstacle(base(kind, **settings), longest=20))


@pytest.mark.parametrize(
    ("kind", "settings", "word"),
    [
        ("gemma2", {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8, "attn_implementation": "sdpa"}, "8 tokens"),
        ("gemma3_text", {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8}, "8 tokens"),
        ("qwen3_next", LINEAR, "state"),
    ],
)
def test_layers_that_do_not_see_the_whole_row_are_trained_padded_with_logits_of_answers_only(
    kind: str,
    settings: dict[str, object],
    word: str,
    rows: list[EncodedRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where FlexAttention is at hand: one log line says why, and the weights are those of unpacked training."""
    monkeypatch.setattr(span_attention, "DEVICES", ("cpu",))
    found = {}
    for packing in ("shared_prefix", "off"):
        training = TrainingSection(max_steps=1, per_device_train_batch_size=4, packing=packing, lr_scheduler_type="constant")
        model = base(kind, **settings)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="extune"):
            result = train_model(model, rows, TrainingSetup(training, SelectionSection()), tmp_path / packing)
        assert not result.packed
        assert result.attention is None
        if packing == "shared_prefix":
            (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("extune")]
            assert "without packing" in told
            assert word in told
        found[packing] = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    torch.testing.assert_close(found["shared_prefix"], found["off"], rtol=1e-4, atol=1e-5)
