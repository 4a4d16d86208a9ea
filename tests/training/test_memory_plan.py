"""The memory plan against what torch's allocator hands out in real steps, and when layers are computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from extune.data.splits import read_split
from extune.models.adapters import add_adapter
from extune.models.base_model import EMBEDDED, load_base, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.encoding import build_encoder
from extune.recipe.load import load_recipe
from extune.tokens.encode import EncodedRow
from extune.training import preparation
from extune.training.batches import BatchCollator, target_losses
from extune.training.memory_plan import MemoryPlan
from extune.training.precision import computing
from extune.training.preparation import packed, plan_batches
from extune.training.setup import TrainingSetup, build_arguments

BASE, CPU = resolve_base(EMBEDDED), torch.device("cpu")
SMALL = ("base.compile=false", "training.per_device_train_batch_size=2")


@pytest.fixture(scope="module")
def rows(tokenizer: PreTrainedTokenizerBase) -> list[EncodedRow]:
    recipe = load_recipe("clinic-notes")
    encoder = build_encoder(tokenizer, draft_contract(recipe, BASE, tokenizer))
    return [row for one in read_split(recipe.data, "train", recipe.task).examples[:12] for row in encoder.encode_rows(one)]


def planned(
    rows: list[EncodedRow], out: Path, dtype: str, *changes: str
) -> tuple[Any, BatchCollator, MemoryPlan, TrainingSetup]:
    recipe = load_recipe("clinic-notes", *SMALL, *changes)
    torch.manual_seed(0)
    model = add_adapter(load_base(BASE, dtype, "cpu"), recipe.adapter)
    setup = TrainingSetup(recipe.training, recipe.selection, autocast=dtype == "bfloat16")
    collator, plan = plan_batches(model, rows, setup, build_arguments(setup, out, len(rows), scored=False))
    return model, collator, plan, setup


def measured_peak(model: Any, pack: dict[str, Any], collator: BatchCollator, autocast: bool) -> int:
    """Weights, and the most of what torch's allocator handed out above them during two steps."""
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    model.train()
    held = sum(one.nbytes for one in model.parameters())
    activities = [torch.profiler.ProfilerActivity.CPU]
    with packed(model, collator), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        for _ in range(2):
            with computing(CPU, autocast=autocast):
                loss = target_losses(model, pack).sum()
            loss.backward()
            del loss
            optimizer.step()
            optimizer.zero_grad()
    now = most = 0
    events = [one for one in profile.profiler.kineto_results.events() if one.name() == "[memory]"]
    for event in sorted(events, key=lambda one: one.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return held + most


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        ("float32", ("adapter.method=lora",)),
        ("float32", ("adapter.method=lora", "training.gradient_checkpointing=true")),
        ("bfloat16", ("adapter.method=lora",)),
    ],
)
def test_the_plan_is_within_a_fifth_of_the_measured_peak(
    rows: list[EncodedRow], tmp_path: Path, dtype: str, changes: tuple[str, ...]
) -> None:
    model, collator, plan, setup = planned(rows, tmp_path, dtype, *changes)
    longest = sorted(rows, key=lambda row: len(row.ids), reverse=True)[: setup.training.per_device_train_batch_size]
    pack = max(collator.packs(longest), key=lambda one: one["input_ids"].numel())
    assert plan.tokens == pack["input_ids"].numel()
    assert plan.logits < plan.logits_full
    assert plan.peak == pytest.approx(measured_peak(model, pack, collator, setup.autocast), rel=0.2)


def test_layers_are_computed_again_only_where_memory_needs_it(
    rows: list[EncodedRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = ("adapter.method=lora", "training.per_device_train_batch_size=1")
    roomy = planned(rows, tmp_path, "float32", *lora)[2]
    assert not roomy.checkpointing
    assert "gradient checkpointing off" in str(roomy)
    few = 32 << 20
    for module in ("preparation", "memory_plan"):
        monkeypatch.setattr(f"extune.training.{module}.free_memory", lambda _: few)
    model, _, tight, _ = planned(rows, tmp_path, "float32", *lora)
    assert tight.checkpointing
    assert model.is_gradient_checkpointing
    assert tight.free == few
    assert preparation.free_memory(CPU) == few
