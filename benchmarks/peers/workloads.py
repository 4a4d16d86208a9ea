"""What is trained: rows of real data sets, encoded once by extune and then given to every peer.

In: a workload's name and a base. Out: its rows as prompts and answers with their ids, in the order of extune's training, which
the peers follow: every step trains the same rows everywhere. It knows nothing about who trains.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import extune
from extune.data.splits import read_split
from extune.domain.example import Example
from extune.files import hash_text, write_json, write_text
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_encoder
from extune.recipe.sections import Recipe
from extune.tokens.encode import EncodedRow, Encoder
from extune.training.data_order import LengthGroupedOrder

_SEED = 17


@dataclass(frozen=True)
class Workload:
    """Rows and how many of them make a step.

    Attributes:
        what: for the table.
        recipe: shipped name; its task and wording are used.
        overrides: of the recipe; `data.train` among them.
        batch: rows of one step.
        least_tokens: shorter rows are left out.
        checkpointing: with gradient checkpointing wherever it can be chosen; else only where it is the peer's default.
    """

    what: str
    recipe: str
    overrides: tuple[str, ...]
    batch: int
    least_tokens: int = 0
    checkpointing: bool = False


_DATA = "data.train=../shared/data/"
WORKLOADS = {
    "msra": Workload(
        "MSRA entities", "msra-ner", (_DATA + "msra_ner/train.jsonl", "data.reader=spans", "data.on_too_long=drop"), 16
    ),
    "dialogues": Workload(
        "dialogues to records", "medical-dialogue", (_DATA + "imcs_dialogue/train.jsonl", "prompt.max_input_tokens=3072"), 4
    ),
    "fudan": Workload("news, uncut", "fudan-news", (_DATA + "fudan_news/train.jsonl", "data.on_too_long=drop"), 4),
    "fudan-1024": Workload(
        "news, 1,024 tokens",
        "fudan-news",
        (_DATA + "fudan_news/train.jsonl", "prompt.max_input_tokens=1020"),
        4,
        least_tokens=1000,
        checkpointing=True,
    ),
    "tcm": Workload(
        "TCM entities", "tcm-ner", (_DATA + "tcm_ner/medical_train.txt", "data.reader=bio", "data.on_too_long=drop"), 16
    ),
}


@dataclass(frozen=True)
class Prepared:
    """A workload on disk.

    Attributes:
        rows: the file: one row a line, in the order of the training.
        example_ids: of the same rows, in the order in which extune is given them.
        overrides: of the recipe, complete.
        described: rows, tokens and so on, for the result.
    """

    rows: Path
    example_ids: tuple[str, ...]
    overrides: tuple[str, ...]
    described: dict[str, Any]


def prepare(name: str, base: Path, folder: Path, steps: int) -> Prepared:
    """Choose rows at random, encode them and write them down; what is on disk already is taken.

    Args:
        name: in `WORKLOADS`.
        base: whose tokenizer counts.
        folder: for the rows.
        steps: each takes a batch of other rows.
    """
    workload = WORKLOADS[name]
    overrides = [*workload.overrides, *_training_overrides(base, workload.batch, steps)]
    recipe = extune.load_recipe(workload.recipe, *overrides)
    place = folder / f"{name}-{steps}-{hash_text(recipe.model_dump_json() + repr(workload))[:12]}"
    if not (place / "workload.json").is_file():
        _write(place, recipe, workload)
    stored = json.loads((place / "workload.json").read_text(encoding="utf-8"))
    return Prepared(place / "rows.jsonl", tuple(stored["example_ids"]), tuple(overrides), stored["described"])


def _training_overrides(base: Path, batch: int, steps: int) -> list[str]:
    """The same optimisation as `measuring.ARGUMENTS` and `measuring.LORA`, for one epoch over the rows."""
    return [
        f"base.model={base}",
        "base.dtype=bfloat16",
        "data.train_limit=",
        "adapter.method=lora",
        "adapter.r=8",
        "adapter.lora_alpha=16",
        "adapter.lora_dropout=0",
        "adapter.target_modules=all-linear",
        "training.learning_rate=1e-4",
        "training.lr_scheduler_type=constant",
        "training.warmup_ratio=0",
        "training.weight_decay=0",
        "training.max_grad_norm=1",
        "training.optim=adamw_torch",
        f"training.per_device_train_batch_size={batch}",
        "training.gradient_accumulation_steps=1",
        "training.gradient_checkpointing=false",
        f"training.seed={_SEED}",
        "training.logging_steps=1",
        "training.num_train_epochs=1",
        f"training.max_steps={steps}",
    ]


def _write(place: Path, recipe: Recipe, workload: Workload) -> None:
    training = recipe.training
    count = training.max_steps * workload.batch
    encoder = _build_encoder(recipe)
    chosen: list[tuple[Example, EncodedRow]] = []
    examples = list(read_split(recipe.data, "train", recipe.task).examples)
    random.Random(_SEED).shuffle(examples)
    for example in examples:
        rows = encoder.encode_rows(example)
        if len(rows) == 1 and len(rows[0].ids) >= workload.least_tokens:
            chosen.append((example, rows[0]))
        if len(chosen) == count:
            break
    else:
        raise SystemExit(f"{recipe.data.train} has {len(chosen)} rows of at least {workload.least_tokens} tokens, not {count}")
    lengths = [len(row.ids) for _, row in chosen]
    order = list(LengthGroupedOrder(lengths, workload.batch, training.seed))
    lines = [_line(encoder, chosen[at][1]) for at in order]
    write_text(place / "rows.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    described = _describe([chosen[at][1] for at in order], workload)
    write_json(place / "workload.json", {"example_ids": [example.id for example, _ in chosen], "described": described})


def _build_encoder(recipe: Recipe) -> Encoder:
    base = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(base)
    return build_encoder(tokenizer, draft_contract(recipe, base, tokenizer))


def _line(encoder: Encoder, row: EncodedRow) -> dict[str, Any]:
    """A row for the peers: as text, whose ids they find themselves, and as ids."""
    prompt, target = list(row.ids[: row.prompt_length]), list(row.ids[row.prompt_length :])
    decode = encoder.tokenizer.decode
    return {"prompt": decode(prompt), "answer": decode(target[:-1]), "prompt_ids": prompt, "target_ids": target}


def _describe(rows: Sequence[EncodedRow], workload: Workload) -> dict[str, Any]:
    """Sizes of the rows; `padded_tokens` is what batches of this order hold with their padding."""
    batches = [rows[start : start + workload.batch] for start in range(0, len(rows), workload.batch)]
    tokens = sum(len(row.ids) for row in rows)
    return {
        "what": workload.what,
        "rows": len(rows),
        "batch": workload.batch,
        "tokens_per_row": round(tokens / len(rows), 1),
        "padded_tokens_per_row": round(
            sum(len(batch) * max(len(row.ids) for row in batch) for batch in batches) / len(rows), 1
        ),
        "targets_per_row": round(sum(len(row.ids) - row.prompt_length for row in rows) / len(rows), 1),
        "checkpointing": workload.checkpointing,
    }
