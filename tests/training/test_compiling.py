"""Compiled layers: the same training as without them, and the reasons why there are none."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator, target_losses
from extune.training.compiling import compile_layers, compiling_obstacle
from extune.training.packed_attention import packed_attention_in
from extune.training.trainer import TrainingSetup, train_model

CPU = torch.device("cpu")
has_compiler = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler is installed")


def make_model() -> PreTrainedModel:
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
    )
    return Qwen3ForCausalLM(config)


def make_rows() -> list[EncodedRow]:
    draw = torch.Generator().manual_seed(5)
    lengths = [9, 12, 10, 15, 11, 9, 14, 13]
    texts = [torch.randint(4, 40, (length,), generator=draw).tolist() for length in lengths]
    return [EncodedRow(str(at), (1, 2, 3, *ids), 7, "") for at, ids in enumerate(texts)]


def train(out: Path, *, compiled: bool) -> PreTrainedModel:
    model = make_model()
    training = TrainingSection(learning_rate=1e-2, max_steps=4, per_device_train_batch_size=4, warmup_ratio=0)
    train_model(model, make_rows(), TrainingSetup(training, SelectionSection(), compiled=compiled), out)
    return model


@has_compiler
def test_compiled_layers_train_the_same_weights(tmp_path: Path) -> None:
    started, eager, compiled = make_model(), train(tmp_path / "a", compiled=False), train(tmp_path / "b", compiled=True)
    for (name, expected), found, before in zip(
        eager.named_parameters(), compiled.parameters(), started.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5, msg=name)
        assert not torch.equal(expected, before), name
    ids = torch.tensor([[1, 2, 3, 8]])
    torch.testing.assert_close(compiled(input_ids=ids).logits, eager(input_ids=ids).logits, rtol=1e-3, atol=1e-4)


def test_the_compiled_view_has_the_weights_of_the_model_and_leaves_it_alone() -> None:
    model = make_model()
    before = [type(module) for module in model.modules()]
    view = compile_layers(model)
    assert {id(weight) for weight in view.parameters()} == {id(weight) for weight in model.parameters()}
    assert [type(module) for module in model.modules()] == before


def no_compiler(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", "")


@pytest.mark.parametrize(
    ("prepare", "processes", "word"),
    [(no_compiler, 1, "C++"), (lambda _: None, 2, "processes")],
)
def test_without_compiled_layers_the_reason_is_told(
    prepare: Callable[[pytest.MonkeyPatch], Any], processes: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch)
    reason = compiling_obstacle(make_model(), CPU, processes)
    assert reason is not None
    assert word in reason


def test_without_a_compiler_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING):
        model = train(tmp_path, compiled=True)
    assert "no C++ compiler" in caplog.text
    assert not torch.equal(next(model.parameters()), next(make_model().parameters()))


def rows_of_shape(count: int, prefix: int, seed: int) -> list[EncodedRow]:
    draw = torch.Generator().manual_seed(seed)

    def ids(length: int) -> list[int]:
        return torch.randint(4, 40, (length,), generator=draw).tolist()

    head = ids(prefix)
    prompts = [[*head, at + 4, *ids(5 + 3 * at % 7)] for at in range(count)]
    return [EncodedRow(str(at), (*one, *ids(2 + at % 3)), len(one), "") for at, one in enumerate(prompts)]


@has_compiler
def test_layers_are_compiled_once_for_packs_of_all_sizes() -> None:
    """Also where rows share nothing, and for a row that is alone in its pack."""
    model = make_model()
    view = compile_layers(model).train()

    def losses(rows: list[EncodedRow]) -> torch.Tensor:
        (pack,) = BatchCollator("shared_prefix", 10_000).packs(rows)
        found = target_losses(view, pack)
        found.sum().backward()
        return found.detach()

    with packed_attention_in(model):
        losses(rows_of_shape(5, 17, seed=1))
        torch.compiler.set_stance("fail_on_recompile")
        try:
            for count, prefix in ((5, 18), (9, 20), (4, 0), (1, 12), (3, 1)):
                rows = rows_of_shape(count, prefix, seed=count)
                (pack,) = BatchCollator("off", 10_000).packs(rows)
                torch.testing.assert_close(losses(rows), target_losses(model, pack).detach(), rtol=1e-4, atol=1e-5)
        finally:
            torch.compiler.set_stance("default")
