"""A plain Trainer with the collator that most scripts use: padded batches, all logits."""

from __future__ import annotations

import torch
from measuring import IGNORED, LORA, Measurement, read_job, read_rows, trainer_arguments, watching
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments


def main() -> None:
    """Train as the job says."""
    job = read_job()
    measurement = Measurement(job)
    arguments = TrainingArguments(**trainer_arguments(job), train_sampling_strategy="sequential")
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.bfloat16)
    if job["checkpointing"]:
        model.enable_input_require_grads()
    model = get_peft_model(model, LoraConfig(**LORA, target_modules="all-linear", task_type="CAUSAL_LM"))
    rows = [
        {"input_ids": row["prompt_ids"] + row["target_ids"], "labels": [IGNORED] * len(row["prompt_ids"]) + row["target_ids"]}
        for row in read_rows(job)
    ]
    trainer = Trainer(
        model,
        arguments,
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        train_dataset=rows,
        callbacks=[watching(measurement)],
    )
    trainer.train()
    measurement.write()


if __name__ == "__main__":
    main()
