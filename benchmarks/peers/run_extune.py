"""extune on the examples that the rows were made of. Step times are those at which lines arrive in `log.jsonl`."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from measuring import Measurement, describe_row, read_job

import extune
from extune.data.splits import read_split
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.open import build_encoder
from extune.training.data_order import LengthGroupedOrder

_GLANCE_SECONDS = 0.005


class LogWatch(threading.Thread):
    """Notes when lines of a log arrive; the public way to see each step of a training without taking part in it."""

    def __init__(self, log: Path, measurement: Measurement) -> None:
        super().__init__(daemon=True)
        self.log, self.measurement = log, measurement
        self.over = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        seen = 0
        while not self.over.wait(_GLANCE_SECONDS):
            text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
            while text.count("\n") > seen:
                seen += 1
                self.measurement.note_step()


def main() -> None:
    """Train as the job says."""
    job = read_job()
    measurement = Measurement(job)
    recipe = extune.load_recipe(job["recipe"], *job["overrides"])
    wanted = job["example_ids"]
    by_id = {example.id: example for example in read_split(recipe.data, "train", recipe.task).examples}
    examples = [by_id[one] for one in wanted]
    measurement.batches = list_batches(recipe, examples)
    run = Path(job["folder"]) / "run"
    watch = LogWatch(run / "log.jsonl", measurement)
    watch.start()
    extune.train(recipe, out=run, train=examples)
    watch.over.set()
    watch.join()
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    measurement.losses = [line["loss"] for line in lines if "loss" in line]
    measurement.write()


def list_batches(recipe: Any, examples: list[Any]) -> list[list[list[Any]]]:
    """Descriptions of the rows, batch by batch."""
    base = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(base)
    encoder = build_encoder(tokenizer, draft_contract(recipe, base, tokenizer))
    rows = [row for example in examples for row in encoder.encode_rows(example)]
    size = recipe.training.per_device_train_batch_size
    order = list(LengthGroupedOrder([len(row.ids) for row in rows], size, recipe.training.seed))
    described = [describe_row(rows[at].ids[: rows[at].prompt_length], rows[at].ids[rows[at].prompt_length :]) for at in order]
    return [described[start : start + size] for start in range(0, len(described), size)]


if __name__ == "__main__":
    main()
