"""Packs through FlexAttention: the blocks are those that torch finds, loss and gradient those of one row at a time.

torch's FlexAttention has no backward pass on CPUs: a reference that is compared with it forward takes its place there.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from tests.training.flex_reference import flex_reference, named_blocks, spread
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask, flex_attention
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.recipe.sections import SelectionSection, TrainingSection
from extune.tokens import packing
from extune.tokens.encode import EncodedRow
from extune.tokens.packing import PackLayout, SpanLayout, collate_packed, dense_mask
from extune.training import span_attention
from extune.training.batches import BatchCollator, target_losses
from extune.training.packed_attention import packed_attention_in
from extune.training.preparation import plan_batches
from extune.training.proof import spans_obstacle
from extune.training.setup import TrainingSetup, build_arguments
from extune.training.span_attention import find_blocks
from extune.training.trainer import TrainingResult, train_model

SHAPE: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CPU = torch.device("cpu")
EXACT = 1e-5
has_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="the compiled kernel needs a GPU, and none is here")


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """CPUs count as devices of FlexAttention, with the reference as its kernel and blocks of 16 tokens."""
    with monkeypatch.context() as patch:
        patch.setattr(span_attention, "flex_kernel", lambda: flex_reference)
        patch.setattr(span_attention, "BLOCK", 16)
        patch.setattr(span_attention, "DEVICES", ("cpu",))
        yield patch


def qwen3(**changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16, **changes))


def llama() -> PreTrainedModel:
    torch.manual_seed(2)
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def with_lora() -> PreTrainedModel:
    model = get_peft_model(llama(), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    return off_its_start(model)


def with_prefix() -> PreTrainedModel:
    return off_its_start(get_peft_model(qwen3(), PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM")))


def off_its_start(model: PreTrainedModel) -> PreTrainedModel:
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def checkpointed() -> PreTrainedModel:
    model = qwen3()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


@st.composite
def row_sets(draw: st.DrawFn) -> list[EncodedRow]:
    """Rows that begin with one of several heads, which may be empty; also a single row."""
    token = st.integers(20, 119)
    heads = draw(st.lists(st.lists(token, max_size=40), min_size=1, max_size=3))
    rows = []
    for number in range(draw(st.integers(1, 6))):
        prompt = [*draw(st.sampled_from(heads)), *draw(st.lists(token, min_size=1, max_size=12))]
        answer = draw(st.lists(token, min_size=1, max_size=6))
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def some_rows(count: int = 7, prefix: int = 12) -> list[EncodedRow]:
    draw = random.Random(5)
    head = [draw.randrange(20, 120) for _ in range(prefix)]
    rows = []
    for number in range(count):
        prompt = [*head, *(draw.randrange(20, 120) for _ in range(draw.randrange(1, 15)))]
        answer = [draw.randrange(20, 120) for _ in range(draw.randrange(1, 9))]
        rows.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return rows


def spans_of(rows: list[EncodedRow]) -> SpanLayout:
    layout = collate_packed(rows, "spans")["layout"]
    assert isinstance(layout, SpanLayout)
    return layout


def seen(blocks: BlockMask) -> torch.Tensor:
    return create_mask(blocks.mask_mod, None, None, *blocks.seq_lengths, device="cpu")[0, 0]


@given(row_sets(), st.integers(0, 20), st.sampled_from([1, 7, 16, 128]), st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_blocks_are_those_that_torch_finds_in_the_whole_mask(
    rows: list[EncodedRow], virtual: int, size: int, cost: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_attention, "BLOCK", size)
        patch.setattr(packing, "GROUP_COST", cost)
        blocks = find_blocks(spans_of(rows), virtual)
        lines = collate_packed(rows)["layout"]
    assert isinstance(lines, PackLayout)
    tokens = len(lines.order_T)
    mask = seen(blocks)
    assert mask[:, :virtual].all()
    assert torch.equal(mask[:, virtual:], dense_mask(lines))
    expected = create_block_mask(blocks.mask_mod, None, None, tokens, virtual + tokens, device="cpu", BLOCK_SIZE=size)
    for kind in ("kv", "full_kv", "q", "full_q"):
        found, wanted = (
            named_blocks(getattr(one, f"{kind}_num_blocks"), getattr(one, f"{kind}_indices")) for one in (blocks, expected)
        )
        assert torch.equal(found, wanted), kind


def test_no_mask_of_every_pair_is_made() -> None:
    """The largest tensor of a long pack has a column for each block, not for each token."""
    rows = [EncodedRow(str(at), (*range(1500), at, *range(99)), 1560, "") for at in range(20)]
    layout, largest = spans_of(rows), 0

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            largest = max(largest, out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    with Sizes():
        find_blocks(layout)
    tokens = len(layout.own_T)
    assert tokens > 3000
    assert largest <= 2 * tokens * (tokens // span_attention.BLOCK + 1)


@pytest.mark.parametrize("virtual", [0, 5])
def test_the_reference_computes_what_torch_computes(virtual: int, recwarn: pytest.WarningsRecorder) -> None:
    del recwarn  # torch says that uncompiled FlexAttention is slow
    torch.manual_seed(0)
    blocks = find_blocks(spans_of(some_rows(30)), virtual)
    queries, keys = blocks.seq_lengths
    assert queries > 2 * span_attention.BLOCK
    query, key, value = (torch.randn(1, heads, length, 16) for heads, length in ((4, queries), (2, keys), (2, keys)))
    settings = {"block_mask": blocks, "scale": 0.2, "enable_gqa": True}
    torch.testing.assert_close(flex_reference(query, key, value, **settings), flex_attention(query, key, value, **settings))


def test_one_compiled_kernel_serves_packs_of_all_sizes() -> None:
    """Asked for at most three times: at the first length, for any other, and for packs of one block."""
    torch.compiler.reset()
    kernel = torch.compile(flex_attention, backend="eager")

    def compare(count: int, prefix: int) -> None:
        blocks = find_blocks(spans_of(some_rows(count, prefix)))
        torch.manual_seed(count)
        query, key, value = (torch.randn(1, heads, blocks.seq_lengths[0], 16) for heads in (4, 2, 2))
        settings = {"block_mask": blocks, "scale": 0.2, "enable_gqa": True}
        torch.testing.assert_close(kernel(query, key, value, **settings), flex_reference(query, key, value, **settings))

    for count, prefix in ((20, 12), (30, 40), (2, 12)):
        compare(count, prefix)
    torch.compiler.set_stance("fail_on_recompile")
    try:
        for count, prefix in ((40, 0), (1, 30), (25, 300), (3, 0), (31, 17)):
            compare(count, prefix)
    finally:
        torch.compiler.set_stance("default")
        torch.compiler.reset()


def loss_and_gradients(model: PreTrainedModel, rows: list[EncodedRow], collator: BatchCollator) -> tuple[float, torch.Tensor]:
    model.train()
    model.zero_grad()
    targets, total = sum(len(row.ids) - row.prompt_length for row in rows), 0.0
    for pack in collator.packs(rows):
        loss = target_losses(model, pack).sum() / targets
        loss.backward()
        total += loss.item()
    return total, torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def assert_spans_equal_single_rows(model: PreTrainedModel, rows: list[EncodedRow], max_tokens: int = 10_000) -> None:
    loss, gradient = loss_and_gradients(model, rows, BatchCollator("off", 1))
    with packed_attention_in(model):
        found, spans = loss_and_gradients(model, rows, BatchCollator("shared_prefix", max_tokens, layout="spans"))
    assert found == pytest.approx(loss, rel=EXACT)
    assert (spans - gradient).norm() <= EXACT * gradient.norm()


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("build", [qwen3, llama, with_lora, with_prefix, checkpointed])
@pytest.mark.parametrize("prefix", [40, 0])
def test_spans_equal_one_row_at_a_time(build: Callable[[], PreTrainedModel], prefix: int) -> None:
    assert_spans_equal_single_rows(build(), some_rows(prefix=prefix), 90)


@pytest.mark.usefixtures("reference")
def test_spans_equal_one_row_at_a_time_with_the_embedded_base(base_model: PreTrainedModel) -> None:
    assert_spans_equal_single_rows(deepcopy(base_model), some_rows())


@pytest.mark.parametrize("build", [qwen3, with_prefix])
def test_losses_through_torchs_own_kernel_are_those_of_single_rows(
    build: Callable[[], PreTrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without gradients CPUs have the kernel too; uncompiled, it computes every score and looks at the rule alone."""
    monkeypatch.setattr(span_attention, "flex_kernel", lambda: flex_attention)
    model, rows = build().eval(), some_rows()
    with torch.no_grad():
        single = torch.cat([target_losses(model, pack) for pack in BatchCollator("plain", 1).packs(rows)])
        with packed_attention_in(model):
            (pack,) = BatchCollator("shared_prefix", 10_000, layout="spans").packs(rows)
            torch.testing.assert_close(target_losses(model, pack), single, rtol=EXACT, atol=EXACT)


@given(row_sets(), st.integers(1, 200), st.integers(0, 40))
@settings(max_examples=10, deadline=None)
def test_spans_of_any_rows_equal_one_row_at_a_time(rows: list[EncodedRow], budget: int, cost: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_attention, "flex_kernel", lambda: flex_reference)
        patch.setattr(span_attention, "BLOCK", 16)
        patch.setattr(packing, "GROUP_COST", cost)
        assert_spans_equal_single_rows(with_lora(), rows, budget)


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("build", [qwen3, with_prefix])
def test_spans_are_multiplied_in_bfloat16_where_training_is(build: Callable[[], PreTrainedModel]) -> None:
    model, rows = build(), some_rows()
    exact, _ = loss_and_gradients(model, rows, BatchCollator("plain", 10_000))
    with packed_attention_in(model), torch.autocast("cpu", torch.bfloat16):
        loss, gradient = loss_and_gradients(model, rows, BatchCollator("shared_prefix", 10_000, layout="spans"))
    assert loss == pytest.approx(exact, rel=3e-2)
    assert torch.isfinite(gradient).all()
    assert spans_obstacle(model, rows, CPU, autocast=True) is None


def train(model: PreTrainedModel, out: Path, **settings: Any) -> tuple[TrainingResult, torch.Tensor]:
    section = TrainingSection(max_steps=2, per_device_train_batch_size=4, learning_rate=1e-3)
    result = train_model(model, some_rows(), TrainingSetup(section, SelectionSection(), **settings), out)
    return result, torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_training_through_spans_ends_at_the_weights_of_the_other_way(
    reference: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="extune"):
        by_spans, found = train(qwen3(), tmp_path / "spans")
    assert not caplog.records
    reference.setattr(span_attention, "DEVICES", ("cuda",))
    by_lines, expected = train(qwen3(), tmp_path / "lines")
    assert (by_spans.attention, by_lines.attention) == ("flex", "sdpa")
    assert by_spans.packed
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def sees_all(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **settings: Any) -> torch.Tensor:
    """A kernel that ignores the rule inside its blocks."""
    blocks: BlockMask = settings["block_mask"]
    named = spread(blocks, blocks.kv_num_blocks, blocks.kv_indices)
    mask = named | spread(blocks, blocks.full_kv_num_blocks, blocks.full_kv_indices)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)


def half_a_gradient(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **settings: Any) -> torch.Tensor:
    right = flex_reference(query, key, value, **settings)
    return right.detach() + 0.5 * (right - right.detach())


def too_small(*_: torch.Tensor, **__: Any) -> torch.Tensor:
    raise NotImplementedError("embedding dimension of the query, key, and value\nmust be at least 16")


@pytest.mark.parametrize(
    ("kernel", "changes", "words"),
    [
        (sees_all, {}, "relative differences"),
        (half_a_gradient, {}, "relative differences"),
        (too_small, {}, "NotImplementedError: embedding dimension of the query, key, and value must be at least 16"),
        (flex_reference, {"attention_dropout": 0.1}, "no dropout, and the model's attention has 0.1"),
    ],
)
def test_what_flex_attention_cannot_do_goes_through_sdpa_and_is_told(
    kernel: Callable[..., torch.Tensor],
    changes: dict[str, Any],
    words: str,
    reference: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reference.setattr(span_attention, "flex_kernel", lambda: kernel)
    with caplog.at_level(logging.WARNING, logger="extune"):
        result, _ = train(qwen3(**changes), tmp_path)
    assert result.attention == "sdpa"
    assert result.packed
    (told,) = [record.getMessage() for record in caplog.records]
    assert words in told
    assert "SDPA" in told


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("compiled", [True, False])
def test_compiled_layers_keep_sdpa(compiled: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    setup = TrainingSetup(TrainingSection(per_device_train_batch_size=4), SelectionSection(), compiled=compiled)
    with caplog.at_level(logging.WARNING, logger="extune"):
        collator, _ = plan_batches(qwen3(), some_rows(), setup, build_arguments(setup, tmp_path, 7, scored=False))
    assert collator.packing == "shared_prefix"
    assert collator.layout == ("lines" if compiled else "spans")
    assert collator.narrow is not compiled
    assert ("base.compile" in caplog.text) == compiled


@pytest.mark.usefixtures("reference")
def test_looking_for_obstacles_changes_nothing() -> None:
    model = checkpointed().eval()
    before, random_state = [weight.clone() for weight in model.parameters()], torch.get_rng_state()
    assert spans_obstacle(model, some_rows(), CPU, autocast=False) is None
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert all(weight.grad is None for weight in model.parameters())
    assert not model.training


@has_gpu
@pytest.mark.parametrize("build", [qwen3, with_lora, with_prefix, checkpointed])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_compiled_kernel_on_a_gpu(build: Callable[[], PreTrainedModel], dtype: torch.dtype) -> None:
    device, model = torch.device("cuda"), build().to("cuda")
    for rows in (some_rows(), some_rows(40, prefix=90), some_rows(1)):
        assert spans_obstacle(model, rows, device, autocast=dtype == torch.bfloat16) is None


@has_gpu
def test_training_on_a_gpu_goes_through_flex_attention(tmp_path: Path) -> None:
    result, _ = train(qwen3(), tmp_path, autocast=True)
    assert result.attention == "flex"
