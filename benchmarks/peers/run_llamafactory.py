"""LLaMA-Factory's own training function, on a file in its own format. The prompts are rendered already: an empty template."""

from __future__ import annotations

import json
from pathlib import Path

from llamafactory.data.template import register_template
from llamafactory.train.tuner import run_exp
from measuring import LORA, Measurement, read_job, read_rows, trainer_arguments, watching


def main() -> None:
    """Train as the job says."""
    job = read_job()
    measurement = Measurement(job)
    rows = read_rows(job)
    data = Path(job["folder"]) / "data"
    data.mkdir(parents=True)
    alpaca = [{"instruction": row["prompt"], "input": "", "output": row["answer"]} for row in rows]
    (data / "rows.json").write_text(json.dumps(alpaca, ensure_ascii=False), encoding="utf-8")
    (data / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}), encoding="utf-8")
    register_template("rendered")  # the content, and the end-of-sequence token behind the answer
    arguments = trainer_arguments(job)
    del arguments["gradient_checkpointing"]  # it has a switch of its own
    run_exp(
        arguments
        | {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": job["base"],
            "template": "rendered",
            "dataset": "rows",
            "dataset_dir": str(data),
            "cutoff_len": max(len(row["prompt_ids"]) + len(row["target_ids"]) for row in rows) + 1,
            "disable_shuffling": True,
            "finetuning_type": "lora",
            "lora_rank": LORA["r"],
            "lora_alpha": LORA["lora_alpha"],
            "lora_dropout": LORA["lora_dropout"],
            "lora_target": "all",
            "disable_gradient_checkpointing": not job["checkpointing"],
            "overwrite_cache": True,
            "overwrite_output_dir": True,
        },
        callbacks=[watching(measurement)],
    )
    measurement.write()


if __name__ == "__main__":
    main()
