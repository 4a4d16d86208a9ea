"""TRL's SFTTrainer on prompts and completions. Its head writes no logits; `packing` puts several rows into one line."""

from __future__ import annotations

import math

import torch
from datasets import Dataset
from measuring import LORA, Measurement, read_job, read_rows, trainer_arguments, watching
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer


def main() -> None:
    """Train as the job says."""
    job = read_job()
    measurement = Measurement(job)
    rows, packing = read_rows(job), job["settings"].get("packing", False)
    lengths = [len(row["prompt_ids"]) + len(row["target_ids"]) for row in rows]
    arguments = trainer_arguments(job)
    if packing:  # one line holds what a batch would, so that a step trains about as many rows
        arguments |= {"per_device_train_batch_size": 1}
    trainer = SFTTrainer(
        model=job["base"],
        args=SFTConfig(
            **arguments,
            train_sampling_strategy="sequential",
            model_init_kwargs={"dtype": torch.bfloat16},
            packing=packing,
            max_length=max(*lengths, math.ceil(sum(lengths) / job["steps"])) if packing else None,
        ),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"], "completion": row["answer"]} for row in rows]),
        peft_config=LoraConfig(**LORA, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[watching(measurement)],
    )
    trainer.train()
    measurement.write()


if __name__ == "__main__":
    main()
