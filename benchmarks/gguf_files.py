"""Hold exported files against the run: `python -m benchmarks.gguf_files NAME RUN --what WHAT [--rows 100]`.

RUN holds whole weights and has been evaluated: the texts are every n-th of `scores/test/transformers/predictions.jsonl`. Each
is asked without a grammar, once in transformers and once in llama.cpp for each type of numbers. Writes
`benchmarks/results/gguf-NAME.json`. It needs the packages `gguf` and `cyllama`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.llama_cpp import Loaded
from benchmarks.scores import RESULTS, describe_machine
from extune.domain.example import Example
from extune.models.checkpoint import load_run_tokenizer, load_weights
from extune.predicting.open import build_encoder
from extune.predicting.prompt_layout import render_layout
from extune.runs.run_dir import RunDir
from extune.stages.export import export_folder


def main() -> None:
    """Parse the command line, export, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--what", required=True, help="names the run")
    parser.add_argument("--rows", type=int, default=100)
    arguments = parser.parse_args()
    asked = ask_transformers(arguments.run, arguments.rows)
    result = {
        "what": arguments.what,
        "command": f"python -m benchmarks.gguf_files {arguments.name} RUN --rows {arguments.rows}",
        "machine": describe_machine() | {"gguf": version("gguf"), "cyllama": version("cyllama")},
        "rows": len(asked),
        "answer_tokens": sum(len(one["answer"]) for one in asked),
        "files": [compare(arguments.run, dtype, asked) for dtype in ("float32", "bfloat16", "float16")],
    }
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (RESULTS / f"gguf-{arguments.name}.json").write_text(text, encoding="utf-8")
    print(text)


def ask_transformers(run: Path, rows: int) -> list[dict[str, Any]]:
    """Prompts, their ids, the logits behind them and the greedy answers."""
    contract = RunDir(run).contract()
    tokenizer = load_run_tokenizer(run, contract)
    encoder, layout = build_encoder(tokenizer, contract), render_layout(tokenizer, contract, str(run))
    model = load_weights(run, contract, "cpu")
    lines = (run / "scores" / "test" / "transformers" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = []
    for number, line in enumerate(lines[:: max(1, len(lines) // rows)][:rows]):
        text = json.loads(line)["text"]
        prompts = encoder.encode_prompts(Example(str(number), text))
        if len(prompts) > 1:  # windows are extune's
            continue
        ids = torch.tensor([prompts[0].ids])
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=contract.max_answer_tokens,
                do_sample=False,
                eos_token_id=list(contract.stop_token_ids),
                pad_token_id=contract.stop_token_ids[0],
                output_logits=True,
                return_dict_in_generate=True,
            )
        answer = made.sequences[0, ids.shape[1] :].tolist()
        asked.append({"prompt": layout.fill(text), "ids": ids[0].tolist(), "answer": answer, "logits": made.logits[0][0]})
    return asked


def compare(run: Path, dtype: str, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """What llama.cpp makes of the exported file."""
    contract = RunDir(run).contract()

    def whole(path: Path) -> RunDir:
        raise SystemExit(f"{path} holds an adapter: name its variants/merged")

    with tempfile.TemporaryDirectory() as folder:
        made = export_folder(run, "gguf", whole, out=Path(folder) / "out", dtype=dtype)
        loaded = Loaded(made.path / "model.gguf", contract.max_input_tokens + contract.max_answer_tokens)
        apart = [float((loaded.logits(one["ids"]) - one["logits"]).norm() / one["logits"].norm()) for one in asked]
        return {
            "dtype": dtype,
            "megabytes": round(made.bytes / 1e6, 1),
            "equal_ids": sum(loaded.cut(one["prompt"]) == one["ids"] for one in asked),
            "equal_answers": sum(loaded.answer(one["ids"], contract.max_answer_tokens) == one["answer"] for one in asked),
            "most_relative_difference_of_logits": max(apart),
        }


if __name__ == "__main__":
    main()
