"""Two processes train as one: the same loss and weights, every row once, every dev row once and in order."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from extune.errors import RecipeError, TrainingError
from extune.models.adapters import add_adapter
from extune.models.base_model import load_base
from extune.models.pieces import own_part, whole
from extune.recipe.adapters import FreezeAdapter, FullAdapter, Ia3Adapter, LoraAdapter
from extune.recipe.sections import ParallelSection, SelectionSection, TrainingSection
from extune.tokens.encode import EncodedRow
from extune.training.batches import BatchCollator
from extune.training.data_order import BatchesOfProcess, LengthGroupedOrder
from extune.training.lockstep import in_lockstep
from extune.training.losses import sum_target_losses
from extune.training.preparation import plan_batches
from extune.training.processes import any_process, gather_shares, share_of, this_process
from extune.training.setup import TrainingSetup, build_arguments
from extune.training.trainer import train_model
from extune.training.zero import pieces_of, require_strategy

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
no_deepspeed = find_spec("deepspeed") is None or not (shutil.which("g++") and shutil.which("ninja"))
needs_deepspeed = pytest.mark.skipif(no_deepspeed, reason="on CPUs DeepSpeed compiles with g++ and ninja")
needs_fsdp = pytest.mark.skipif(torch.backends.mps.is_available(), reason="torch's FSDP has no exchange for Apple's GPUs")
STRATEGIES = [
    ("ddp", "lora"),
    pytest.param(("fsdp", "lora"), marks=needs_fsdp),
    *(pytest.param(("fsdp", name), marks=[needs_fsdp, pytest.mark.slow]) for name in ("full", "freeze", "ia3")),
    *(pytest.param((name, "lora"), marks=[needs_deepspeed, pytest.mark.slow]) for name in ("zero1", "zero2")),
]
ADAPTERS = {
    "lora": LoraAdapter(r=4, lora_dropout=0.0),
    "ia3": Ia3Adapter(),
    "full": FullAdapter(),
    "freeze": FreezeAdapter(num_trainable_layers=1),
}
PACK_TOKENS = 36  # some processes make more packs of a batch than others


@given(st.lists(st.integers(1, 50), min_size=1, max_size=70), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3))
def test_processes_share_every_row_once_in_equally_many_batches(lengths: list[int], size: int, count: int, epoch: int) -> None:
    def batches(rank: int) -> list[list[int]]:
        order = LengthGroupedOrder(lengths, size * count, seed=5)
        order.set_epoch(epoch)
        share = BatchesOfProcess(order, rank, count)
        made = list(share)
        assert len(made) == len(share)
        return made

    alone = LengthGroupedOrder(lengths, size * count, seed=5)
    alone.set_epoch(epoch)
    shares = [batches(rank) for rank in range(count)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(len(lengths)))
    for number, together in enumerate(zip(*shares, strict=True)):
        assert {row for batch in together for row in batch} == set(list(alone)[number * size * count :][: size * count])


def test_one_process_shares_with_nobody() -> None:
    assert share_of("abc") == "abc"
    assert gather_shares([1, 2, 3], 3) == [1, 2, 3]
    assert any_process(True, torch.device("cpu"))
    assert (this_process().is_first, this_process().count) == (True, 1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny base."""
    torch.manual_seed(0)
    shape = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16}
    model = Qwen3ForCausalLM(Qwen3Config(**shape, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True))
    folder = tmp_path_factory.mktemp("base")
    model.save_pretrained(folder)
    return folder


def load(base: Path, method: str = "lora", pieces: int = 1) -> PreTrainedModel:
    torch.manual_seed(1)
    section = ADAPTERS[method]
    return add_adapter(load_base(base, "float32", "cpu", pieces=pieces), section)


def rows() -> list[EncodedRow]:
    draw = random.Random(3)
    made = []
    for number in range(13):  # batches of 4: the last has one row, so one process has none
        prompt = [*range(10), *(draw.randrange(20, 90) for _ in range(draw.randrange(2, 12)))]
        answer = [draw.randrange(20, 90) for _ in range(draw.randrange(1, 6))]
        made.append(EncodedRow(str(number), (*prompt, *answer), len(prompt), ""))
    return made


def train(
    base: Path,
    folder: Path,
    batch: int,
    how: tuple[str, str] = ("ddp", "lora"),
    resume: bool = False,
    stop: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """What a training with 4 examples a batch came to; the dev score is made of shares.

    `how` is the strategy and the method.
    """
    parallel, calls = ParallelSection(strategy=how[0]), iter(range(1, 10**9))
    one = load(base, how[1], pieces_of(parallel))
    training = TrainingSection(
        num_train_epochs=2,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=2,
        logging_steps=1,
        learning_rate=1e-2,
        gradient_checkpointing=how == ("fsdp", "lora"),
    )

    def score() -> dict[str, float]:
        if stop is not None and next(calls) == 1:
            stop()
        with in_lockstep(one):
            passes = [sum_target_losses(one, rows()[:3]).total for _ in range(1 + 3 * this_process().rank)]
        assert len(set(passes)) == 1
        items = list(range(7))
        gathered = gather_shares([10 * item for item in share_of(items)], len(items))
        assert gathered == [10 * item for item in items]
        return {"loss": float(whole_weights(one).square().sum())}

    selection = SelectionSection(metric="loss", eval_steps=2)
    setup = TrainingSetup(training, selection, max_pack_tokens=PACK_TOKENS, parallel=parallel)
    result = train_model(one, rows(), setup, folder, score_dev=score, resume=resume)
    return {
        "weights": whole_weights(one),
        "held": sum(own_part(p).nbytes for p in one.parameters()),
        "planned": result.memory,
        "steps": result.steps,
        "best_step": result.best_step,
        "packed": result.packed,
    }


def whole_weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([whole(p.detach()).float().flatten() for p in model.parameters() if p.requires_grad])


def in_two_processes(work: Callable[[int], object]) -> list[int]:
    """Exit codes of two forks that torch's environment calls processes 0 and 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
                os.environ.update({name: str(value) for name, value in told.items()}, MASTER_ADDR="127.0.0.1")
                AcceleratorState._reset_state(True)
                PartialState._reset_state()
                work(rank)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def losses(folder: Path) -> list[tuple[float, ...]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [tuple(line[key] for key in ("step", "loss", "grad_norm")) for line in lines if "loss" in line]


@needs_fork
@pytest.mark.parametrize("how", STRATEGIES, ids="-".join)
def test_two_processes_train_as_one(how: tuple[str, str], base: Path, tmp_path: Path) -> None:
    alone = train(base, tmp_path / "one", 4, ("ddp", how[1]))

    def work(rank: int) -> None:
        torch.save(train(base, tmp_path / "two", 2, how), tmp_path / f"{rank}.pt")

    assert in_two_processes(work) == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first["weights"], second["weights"])
    assert torch.allclose(first["weights"], alone["weights"], atol=1e-5)
    assert first["packed"]
    if how == ("fsdp", "full"):
        assert first["held"] + second["held"] == alone["held"]
        for name in ("gradients", "optimizer"):
            assert first["planned"][name] == alone["planned"][name] // 2
    assert (
        (first["steps"], first["best_step"]) == (second["steps"], second["best_step"]) == (alone["steps"], alone["best_step"])
    )
    assert len(losses(tmp_path / "one")) == alone["steps"]
    for one, two in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_processes_of_these_tests_have_unequal_numbers_of_packs() -> None:
    made, collator = rows(), BatchCollator("shared_prefix", max_tokens=PACK_TOKENS)
    order = LengthGroupedOrder([len(row.ids) for row in made], 4, TrainingSection().seed)
    shares = [[[made[at] for at in share] for share in BatchesOfProcess(order, rank, 2)] for rank in range(2)]
    counts = {tuple(len(collator.packs(share)) for share in batch if share) for batch in zip(*shares, strict=True)}
    assert {(1, 2), (2, 1)} & counts


@needs_fork
@pytest.mark.parametrize("how", STRATEGIES, ids="-".join)
def test_processes_stop_after_the_same_step_and_resume(how: tuple[str, str], base: Path, tmp_path: Path) -> None:
    def interrupted(rank: int) -> None:
        def stop() -> None:
            if rank == 1:  # only one of them hears it
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(KeyboardInterrupt):
            train(base, tmp_path / "cut", 2, how, stop=stop)

    def whole_and_resumed(_: int) -> None:
        uncut = train(base, tmp_path / "uncut", 2, how)
        resumed = train(base, tmp_path / "cut", 2, how, resume=True)
        assert torch.equal(uncut["weights"], resumed["weights"])
        assert uncut["steps"] == resumed["steps"]

    assert in_two_processes(interrupted) == [0, 0]
    assert "checkpoint-3" in {path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()}
    with pytest.raises(TrainingError, match="--nproc 2"):
        train(base, tmp_path / "cut", 4, ("ddp", how[1]), resume=True)
    assert in_two_processes(whole_and_resumed) == [0, 0]


def test_one_process_divides_nothing_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    zero2, ddp = (ParallelSection(strategy=strategy) for strategy in ("zero2", "ddp"))
    require_strategy(ddp)
    assert not caplog.records
    require_strategy(zero2)
    assert "parallel.strategy: zero2" in caplog.text
    arguments = build_arguments(TrainingSetup(TrainingSection(), SelectionSection(), parallel=zero2), tmp_path, 5, scored=False)
    assert arguments.deepspeed is None


def test_several_processes_without_deepspeed_are_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    require_strategy(ParallelSection(strategy="ddp"))
    with pytest.raises(RecipeError, match=r'pip install "extune\[deepspeed\]"'):
        require_strategy(ParallelSection(strategy="zero2"))


def test_weights_are_not_divided_where_torch_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(RecipeError, match=r"parallel\.strategy=ddp"):
        require_strategy(ParallelSection(strategy="fsdp"))


def test_zero_needs_every_trained_weight_in_every_pack(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load(base)
    one.register_parameter("unused", torch.nn.Parameter(torch.ones(3)))
    training = TrainingSection(gradient_checkpointing=False)  # auto would ask the other process
    setup = TrainingSetup(training, SelectionSection(), max_pack_tokens=90, parallel=ParallelSection(strategy="zero1"))
    arguments = build_arguments(setup, tmp_path, 13, scored=False)
    plan_batches(one, rows(), setup, arguments)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"parallel\.strategy=ddp"):
        plan_batches(one, rows(), setup, arguments)
