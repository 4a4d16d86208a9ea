"""ms-swift's own training function, on a file in its own format. The prompts are rendered already: its template `dummy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measuring import LORA, Measurement, read_job, read_rows, trainer_arguments, watching
from swift import SftArguments, sft_main
from swift.callbacks import callbacks_map


def main() -> None:
    """Train as the job says."""
    job = read_job()
    measurement = Measurement(job)
    rows = read_rows(job)
    data = Path(job["folder"]) / "rows.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    turns = [
        {"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}]}
        for row in rows
    ]
    data.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in turns), encoding="utf-8")
    callbacks_map["watching"] = lambda _args, _trainer: watching(measurement)
    arguments: dict[str, Any] = trainer_arguments(job) | {
        "model": job["base"],
        "model_type": "qwen2",
        "template": "dummy",
        "torch_dtype": "bfloat16",
        "dataset": [str(data)],
        "split_dataset_ratio": 0.0,
        "dataset_shuffle": False,
        "train_dataloader_shuffle": False,
        "tuner_type": "lora",
        "lora_rank": LORA["r"],
        "lora_alpha": LORA["lora_alpha"],
        "lora_dropout": LORA["lora_dropout"],
        "target_modules": ["all-linear"],
        "check_model": False,
        "add_version": False,
        "dataloader_num_workers": 0,
        "dataset_num_proc": 1,
        "callbacks": ["watching"],
        "report_to": ["none"],
    }
    sft_main(SftArguments(**arguments))
    measurement.write()


if __name__ == "__main__":
    main()
