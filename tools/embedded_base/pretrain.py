"""Next-character training of the embedded base, on one machine, resumable and deterministic for a seed.

In: rows of token ids with a loss weight for every token. Out: a checkpoint folder.
Weights and gradients are bf16, the optimizer's masters fp32: on CPUs with bf16 units autocast is twice as slow.
It knows nothing about where the rows come from.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen3ForCausalLM

SAVE_SECONDS = 240.0


@dataclass(frozen=True)
class Stage:
    """One stage of the schedule (WSD: warm-up, stable, decay).

    Learning rates are peaks: `muon_lr` for weight matrices, `adam_lr` for the embedding and the norms.
    `batch_tokens` counts tokens a step; `decay_share` is the part of the steps in which the rate falls to `final_share`.
    `segmented`: packed rows do not see each other.
    """

    name: str
    sequence_tokens: int
    batch_tokens: int
    steps: int
    muon_lr: float = 0.01
    adam_lr: float = 0.003
    warmup_steps: int = 100
    decay_share: float = 0.0
    final_share: float = 0.05
    weight_decay: float = 0.05
    segmented: bool = False

    def rate(self, step: int) -> float:
        """Share of the peak rate at `step` (0-based)."""
        decay_steps = max(1, round(self.steps * self.decay_share))
        left = (self.steps - step) / decay_steps if self.decay_share else 1.0
        return min(1.0, (step + 1) / max(1, self.warmup_steps), self.final_share + (1 - self.final_share) * left)


class Rows:
    """Rows of `T` tokens cut from one stream, visited in an order fixed by the seed.

    Args:
        ids: token ids, uint16, shape (N,).
        weights: loss weight of each token as a target, float16, shape (N,); None means 1 everywhere.
    """

    def __init__(self, ids: np.ndarray, weights: np.ndarray | None, sequence_tokens: int, seed: int) -> None:
        self.ids, self.weights, self.length = ids, weights, sequence_tokens
        self.order = np.random.default_rng(seed).permutation(len(ids) // sequence_tokens)

    def batch(self, step: int, rows: int) -> tuple[Tensor, Tensor]:
        """Ids (B, T) int64 and weights (B, T) float32 of `step`; wraps around after the last row."""
        places = [self.order[(step * rows + row) % len(self.order)] * self.length for row in range(rows)]
        ids = np.stack([self.ids[place : place + self.length] for place in places]).astype(np.int64)
        if self.weights is None:
            return torch.from_numpy(ids), torch.ones(ids.shape)
        weights = np.stack([self.weights[place : place + self.length] for place in places]).astype(np.float32)
        return torch.from_numpy(ids), torch.from_numpy(weights)


class MasterOptimizers:
    """Muon for the layers' matrices, AdamW for everything else, over fp32 masters of bf16 parameters."""

    def __init__(self, model: nn.Module, stage: Stage) -> None:
        self.parameters = list(model.parameters())
        self.masters = [nn.Parameter(parameter.detach().float().clone()) for parameter in self.parameters]
        names = [name for name, _ in model.named_parameters()]
        matrices = [m for name, m in zip(names, self.masters, strict=True) if m.ndim == 2 and "embed" not in name]
        others = [m for name, m in zip(names, self.masters, strict=True) if m.ndim != 2 or "embed" in name]
        self.muon = torch.optim.Muon(matrices, lr=stage.muon_lr, weight_decay=stage.weight_decay, momentum=0.95)
        self.adam = torch.optim.AdamW(others, lr=stage.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
        self.stage = stage

    def step(self, rate: float) -> float:
        """Apply one update and return the gradient norm before clipping to 1."""
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = float(nn.utils.clip_grad_norm_(self.masters, 1.0))
        for optimizer, peak in ((self.muon, self.stage.muon_lr), (self.adam, self.stage.adam_lr)):
            optimizer.param_groups[0]["lr"] = peak * rate
            optimizer.step()
        with torch.no_grad():
            for master, parameter in zip(self.masters, self.parameters, strict=True):
                parameter.copy_(master)
        return norm

    def state_dict(self) -> dict[str, object]:
        """Masters and both optimizers."""
        return {"masters": [m.data for m in self.masters], "muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`; the parameters follow the masters."""
        with torch.no_grad():
            for master, parameter, saved in zip(self.masters, self.parameters, state["masters"], strict=True):
                master.copy_(saved)
                parameter.copy_(saved)
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


def weighted_loss(model: Qwen3ForCausalLM, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """Mean cross-entropy over the weighted target positions; equals nats per character on plain text."""
    logits_BTV = model(input_ids=ids_BT[:, :-1], use_cache=False).logits
    return _weighted_mean(logits_BTV, ids_BT, weights_BT)


def segmented_loss(model: Qwen3ForCausalLM, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """The same where rows are packed: a token sees only its own row, whose positions count from 0.

    A row ends with the end-of-text token (the model's padding id).
    """
    inputs_BT = ids_BT[:, :-1]
    ends_BT = inputs_BT == model.config.pad_token_id
    segments_BT = ends_BT.cumsum(-1) - ends_BT.long()
    places_T = torch.arange(inputs_BT.shape[1], device=ids_BT.device)
    starts_BT = torch.where(F.pad(ends_BT[:, :-1], (1, 0), value=True), places_T, 0).cummax(-1).values
    visible_BTT = (segments_BT[:, :, None] == segments_BT[:, None, :]) & (places_T[:, None] >= places_T)
    mask_B1TT = torch.where(visible_BTT, 0.0, torch.finfo(torch.bfloat16).min).to(torch.bfloat16)[:, None]
    logits_BTV = model(input_ids=inputs_BT, attention_mask=mask_B1TT, position_ids=places_T - starts_BT, use_cache=False).logits
    return _weighted_mean(logits_BTV, ids_BT, weights_BT)


def _weighted_mean(logits_BTV: Tensor, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    losses = F.cross_entropy(logits_BTV.flatten(0, 1).float(), ids_BT[:, 1:].flatten(), reduction="none")
    weights = weights_BT[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


def train(
    model: Qwen3ForCausalLM,
    rows: Rows,
    stage: Stage,
    out: Path,
    compile_model: bool = True,
    evaluate: Callable[[], float] | None = None,
) -> None:
    """Train `model` in place; `out/STAGE.pt` is written every `SAVE_SECONDS` and resumed from when it exists."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device=device, dtype=torch.bfloat16).train()
    optimizers = MasterOptimizers(model, stage)
    checkpoint = out / f"{stage.name}.pt"
    start = _resume(checkpoint, optimizers)
    loss_function = segmented_loss if stage.segmented else weighted_loss
    loss_of = torch.compile(loss_function) if compile_model else loss_function
    batch_rows = stage.batch_tokens // stage.sequence_tokens
    saved = began = time.monotonic()
    running = 0.0
    for step in range(start, stage.steps):
        ids_BT, weights_BT = (tensor.to(device) for tensor in rows.batch(step, batch_rows))
        loss = loss_of(model, ids_BT, weights_BT)
        loss.backward()
        norm = optimizers.step(stage.rate(step))
        running = loss.item() if step == start else 0.98 * running + 0.02 * loss.item()
        if not math.isfinite(running):
            raise FloatingPointError(f"{stage.name}: loss is {running} at step {step}, gradient norm {norm}")
        if (step + 1) % 50 == 0 or step + 1 == stage.steps:
            speed = (step + 1 - start) * stage.batch_tokens / (time.monotonic() - began)
            _log(out, stage, step + 1, loss_per_character=running, gradient_norm=norm, tokens_per_second=speed)
        if time.monotonic() - saved > SAVE_SECONDS or step + 1 == stage.steps:
            _save(checkpoint, optimizers, step + 1, stage)
            saved = time.monotonic()
            if evaluate is not None:
                _log(out, stage, step + 1, held_out_loss_per_character=evaluate())


def _resume(checkpoint: Path, optimizers: MasterOptimizers) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    optimizers.load_state_dict(state["optimizers"])
    return int(state["step"])


def _save(checkpoint: Path, optimizers: MasterOptimizers, step: int, stage: Stage) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    temporary = checkpoint.with_suffix(".tmp")
    torch.save({"optimizers": optimizers.state_dict(), "step": step, "stage": asdict(stage)}, temporary)
    temporary.replace(checkpoint)


def _log(out: Path, stage: Stage, step: int, **figures: float) -> None:
    line = {"stage": stage.name, "step": step, "of": stage.steps, **{k: round(v, 4) for k, v in figures.items()}}
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)
