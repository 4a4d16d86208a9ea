"""Make the embedded base: `python -m tools.embedded_base --corpus DIR --out DIR STAGE`.

Stages in order: `prepare` (corpus to tokenizer and token stream), `plain` (next-character training), `prepare-extraction`
(instruction-shaped rows, packed), `extraction` (training on them), `prepare-long` and `long` (the same with long texts), `ship`
(score, card, package).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3ForCausalLM

from tools.embedded_base import corpus, evaluate, extraction_text, ship, sources
from tools.embedded_base.model import CONTEXT, VOCABULARY, build_config, build_model
from tools.embedded_base.packing import pack_documents, pack_rows
from tools.embedded_base.pretrain import Rows, Stage, train, weighted_loss
from tools.embedded_base.tokenizer import TURN_END, build_tokenizer

# Rows of the last stage reach half of the context; the rest of the context is left to the rotary positions.
SEQUENCE_TOKENS = {"extraction": 512, "long": 2048}
LONG_SHARE = {"extraction": 0.0, "long": 0.6}


def prepare(arguments: argparse.Namespace) -> None:
    """Write tokenizer/, plain.npy and counts.json."""
    forbidden = corpus.evaluation_hashes(arguments.corpus.parent)
    documents, held_out, counts = corpus.mix(arguments.corpus, forbidden, arguments.seed)
    tokenizer = build_tokenizer(documents, VOCABULARY, CONTEXT)
    tokenizer.save_pretrained(arguments.out / "tokenizer")
    ids = pack_documents(documents, tokenizer)
    np.save(arguments.out / "plain.npy", ids)
    np.save(arguments.out / "held_out.npy", pack_documents(held_out, tokenizer))
    counts["total"] = {"tokens": len(ids), "test_shingles": len(forbidden)}
    (arguments.out / "counts.json").write_text(json.dumps(counts, indent=1), encoding="utf-8")
    print(json.dumps(counts, indent=1))


def plain(arguments: argparse.Namespace) -> None:
    """Train on plain text, watching the loss on held-out documents."""
    torch.manual_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(arguments.out / "tokenizer")
    model = begin_model(tokenizer, arguments.start_from)
    if arguments.start_from is not None:
        digest = hashlib.sha256((arguments.start_from / "model.safetensors").read_bytes()).hexdigest()
        (arguments.out / "start.json").write_text(json.dumps({"sha256": digest}), encoding="utf-8")
    ids = np.load(arguments.out / "plain.npy", mmap_mode="r")
    stage = Stage(
        "plain",
        sequence_tokens=256,
        batch_tokens=arguments.batch_tokens,
        steps=arguments.steps,
        muon_lr=arguments.muon_lr,
        adam_lr=arguments.adam_lr,
    )
    rows = Rows(ids, None, stage.sequence_tokens, arguments.seed)
    held_out = Rows(np.load(arguments.out / "held_out.npy"), None, stage.sequence_tokens, 0)

    def held_out_loss() -> float:
        with torch.no_grad():
            losses = [weighted_loss(model, *held_out.batch(step, 16)).item() for step in range(8)]
        return sum(losses) / len(losses)

    train(model, rows, stage, arguments.out, arguments.compile, held_out_loss)
    model.save_pretrained(arguments.out / "plain")


def prepare_rows(arguments: argparse.Namespace, name: str) -> None:
    """Write NAME.npy, NAME_weights.npy and NAME_counts.json, for the extraction stage also extraction_held_out.jsonl."""
    samples = Path("src/extune/shipped/samples")
    forbidden = np.union1d(corpus.evaluation_hashes(arguments.corpus.parent), corpus.evaluation_hashes(samples))
    tokenizer = AutoTokenizer.from_pretrained(arguments.out / "tokenizer")
    documents, held_out, dropped = sources.read_sources(arguments.corpus, forbidden)
    made = extraction_text.rows_from(documents, tokenizer, arguments.rows, arguments.seed, forbidden, LONG_SHARE[name])
    rows = list(made)
    plain_ids = np.load(arguments.out / "plain.npy", mmap_mode="r")
    ids, weights = pack_rows(rows, SEQUENCE_TOKENS[name], plain_ids, tokenizer.pad_token_id)
    np.save(arguments.out / f"{name}.npy", ids)
    np.save(arguments.out / f"{name}_weights.npy", weights)
    if name == "extraction":
        extraction_text.write_held_out(arguments.out / "extraction_held_out.jsonl", held_out, 400, arguments.seed)
    counts = {
        "rows": len(rows),
        "row_tokens": sum(map(len, rows)),
        "rows_left_out_as_too_long": sum(len(row) > SEQUENCE_TOKENS[name] for row in rows),
        "answer_tokens": sum(len(row.answer_ids) for row in rows),
        "packed_tokens": len(ids),
        "sequence_tokens": SEQUENCE_TOKENS[name],
        "lines_dropped_as_overlap": dropped,
    }
    (arguments.out / f"{name}_counts.json").write_text(json.dumps(counts, indent=1), encoding="utf-8")
    print(json.dumps(counts, indent=1))


def train_rows(arguments: argparse.Namespace, name: str, previous: str) -> None:
    """Go on from the previous stage's last checkpoint with packed rows, the rate falling to its end."""
    torch.manual_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(arguments.out / "tokenizer")
    model = load_stage(arguments.out / f"{previous}.pt", tokenizer)
    ids, weights = (np.load(arguments.out / file, mmap_mode="r") for file in (f"{name}.npy", f"{name}_weights.npy"))
    stage = Stage(
        name,
        sequence_tokens=SEQUENCE_TOKENS[name],
        batch_tokens=arguments.batch_tokens,
        steps=min(arguments.steps, len(ids) // arguments.batch_tokens),
        muon_lr=arguments.muon_lr,
        adam_lr=arguments.adam_lr,
        decay_share=arguments.decay_share,
        segmented=True,
    )
    train(model, Rows(ids, weights, stage.sequence_tokens, arguments.seed), stage, arguments.out, arguments.compile)
    model.save_pretrained(arguments.out / name)


def begin_model(tokenizer: PreTrainedTokenizerBase, start_from: Path | None = None) -> Qwen3ForCausalLM:
    """A model for this tokenizer: with fresh weights, or with those of an earlier base of the same shape."""
    model = build_model(build_config(tokenizer.pad_token_id, tokenizer.convert_tokens_to_ids(TURN_END)))
    if start_from is not None:
        model.load_state_dict(Qwen3ForCausalLM.from_pretrained(start_from, dtype=torch.float32).state_dict())
    return model


def load_stage(checkpoint: Path, tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """The model with the fp32 masters of a stage's checkpoint."""
    model = begin_model(tokenizer)
    masters = torch.load(checkpoint, weights_only=True)["optimizers"]["masters"]
    with torch.no_grad():
        for parameter, master in zip(model.parameters(), masters, strict=True):
            parameter.copy_(master)
    return model


def ship_base(arguments: argparse.Namespace) -> None:
    """Score the extraction stage on held-out rows and put it into the package with its card."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.out / "tokenizer")
    last = "long" if (arguments.out / "long.pt").exists() else "extraction"
    model = load_stage(arguments.out / f"{last}.pt", tokenizer)
    final = arguments.out / "final"
    model.save_pretrained(final)
    tokenizer.save_pretrained(final)
    score = evaluate.score_held_out(final, arguments.out / "extraction_held_out.jsonl")
    (arguments.out / "held_out_score.json").write_text(json.dumps(score.to_json(), ensure_ascii=False), encoding="utf-8")
    ship.ship(model, tokenizer, arguments.out, Path("src/extune/shipped/base"))


STAGES = {
    "prepare": prepare,
    "plain": plain,
    "prepare-extraction": partial(prepare_rows, name="extraction"),
    "extraction": partial(train_rows, name="extraction", previous="plain"),
    "prepare-long": partial(prepare_rows, name="long"),
    "long": partial(train_rows, name="long", previous="extraction"),
    "ship": ship_base,
}


def main() -> None:
    """Parse the command line and run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=list(STAGES))
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/embedded_base"))
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--start-from", type=Path, help="plain stage: go on from these weights instead of fresh ones")
    parser.add_argument("--steps", type=int, default=3300)
    parser.add_argument("--rows", type=int, default=70_000)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--muon-lr", type=float, default=0.01)
    parser.add_argument("--adam-lr", type=float, default=0.003)
    parser.add_argument("--decay-share", type=float, default=0.7)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    STAGES[arguments.stage](arguments)


if __name__ == "__main__":
    main()
