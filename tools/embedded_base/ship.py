"""Puts a trained base into the package: bf16 weights, tokenizer, generation settings, model card.

In: the work folder of a training with all its stages. Out: `src/extune/shipped/base/`. Refuses weights above 16 MiB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, Qwen3ForCausalLM

from tools.embedded_base.corpus import MIXTURE

MAX_BYTES = 16 * 2**20
CARD = Path(__file__).with_name("model_card.md")


def ship(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, work: Path, out: Path) -> None:
    """Write everything that users get; the card's figures come from the work folder's files."""
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    weights = out / "model.safetensors"
    weights.chmod(0o644)
    if weights.stat().st_size > MAX_BYTES:
        raise ValueError(f"{weights} has {weights.stat().st_size} bytes, more than {MAX_BYTES}")
    figures = {
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "mebibytes": f"{weights.stat().st_size / 2**20:.1f}",
        "sources": _source_table(work),
        "start": _start(work / "start.json"),
        "lengths": _lengths(work),
        "stages": _stage_table(work / "log.jsonl"),
        "held_out": _held_out(work / "held_out_score.json"),
        "test_shingles": f"{_read(work / 'counts.json')['total']['test_shingles']:,}",
    }
    text = CARD.read_text(encoding="utf-8")
    for name, value in figures.items():
        text = text.replace("{{ " + name + " }}", value)
    (out / "MODEL_CARD.md").write_text(text, encoding="utf-8", newline="\n")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _source_table(work: Path) -> str:
    plain = _read(work / "counts.json")
    lines = ["| source | licence | characters | passes | lines dropped as overlap |", "|---|---|---|---|---|"]
    for source in MIXTURE:
        name = source.name + ("_simplified" if source.simplify else "")
        counts = plain[name]
        dropped = counts["lines_dropped_as_overlap"]
        lines.append(f"| {name} | {source.licence} | {counts['characters']:,} | {source.passes:g} | {dropped:,} |")
    stages = [_read(path) for path in (work / "extraction_counts.json", work / "long_counts.json") if path.exists()]
    described = [
        f"{rows['rows']:,} rows with {rows['answer_tokens']:,} answer tokens in sequences of {rows['sequence_tokens']:,}"
        for rows in stages
    ]
    dropped = sum(stages[0]["lines_dropped_as_overlap"].values())
    lines.append(f"\nRows made from them: {'; '.join(described)}. {dropped:,} lines of their sources were dropped as overlap.")
    return "\n".join(lines)


def _lengths(work: Path) -> str:
    told = "256 tokens (plain text), then 512 (rows)"
    return told + (", then 2,048 (rows about long texts)" if (work / "long_counts.json").exists() else "")


def _start(path: Path) -> str:
    """Which weights the first stage began with."""
    if not path.exists():
        return "The first stage began with random weights."
    digest = _read(path)["sha256"]
    return f"The first stage went on from earlier weights of the same shape (sha256 of model.safetensors: {digest})."


def _stage_table(log: Path) -> str:
    """The last logged step of every stage, and the last held-out loss."""
    lines = ["| stage | steps | loss (nats per weighted character) | tokens/s | held-out loss |", "|---|---|---|---|---|"]
    stages: dict[str, dict[str, Any]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        stages.setdefault(entry["stage"], {}).update(entry)
    for name, entry in stages.items():
        held_out = entry.get("held_out_loss_per_character", "–")
        speed = entry["tokens_per_second"]
        lines.append(f"| {name} | {entry['step']:,} | {entry['loss_per_character']} | {speed:,.0f} | {held_out} |")
    return "\n".join(lines)


def _held_out(path: Path) -> str:
    score = _read(path)
    micro = score["micro"]
    return f"{score['documents']} rows, P {micro['precision']:.3f}, R {micro['recall']:.3f}, F1 {micro['f1']:.3f}"
