"""Train a recipe, score its test set, and keep the figures: `python -m benchmarks.scores NAME RECIPE [section.key=value ...]`.

Writes `benchmarks/results/score-NAME.json` with the command, the machine, the versions, seconds and scores. Tables in the docs
are made from these files by `python -m benchmarks.tables`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import extune
from extune.data.splits import read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import list_baselines
from extune.evaluation.document_counts import count_each
from extune.evaluation.scoring import score_predictions
from extune.evaluation.significance import compare_f1
from extune.evaluation.training_reference import TrainingReference
from extune.predicting.draft import open_untrained
from extune.recipe.sections import Recipe
from extune.reporting.scores_folder import ScoresFolder, read_scores_folder
from extune.runs.run_dir import read_json
from extune.stages.evaluate import score_examples

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse the command line, train, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--what", required=True, help="names the data in the tables")
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--out", type=Path, help="keep the run here, or go on with it; default: a temporary folder")
    arguments = parser.parse_args()
    recipe = extune.load_recipe(arguments.recipe, *arguments.overrides)
    with TemporaryDirectory() as temporary:
        run = extune.train(recipe, out=arguments.out or Path(temporary) / "run", resume=True)
        manifest = read_json(run.manifest_file)
        evaluation = extune.evaluate(run.path, split="test")
        folder = read_scores_folder(evaluation.folders[0])
        baselines = compare_with_baselines(recipe, folder)
    figures = {
        "train_seconds": round(manifest["training"]["seconds"], 1),
        "train_rows": manifest["training"]["rows"],
        "score_seconds": round(evaluation.seconds, 1),
        "headline": evaluation.score.headline,
        "dropped": len(folder.meta.get("dropped", ())),
        "shortened": len(folder.meta.get("shortened", ())),
        "score": evaluation.score.to_json(),
        "baselines": baselines,
    }
    write_result(arguments, figures)


def compare_with_baselines(recipe: Recipe, folder: ScoresFolder) -> dict[str, dict[str, Any]]:
    """By baseline its headline figure, and the 95 % paired document bootstrap of trained minus baseline."""
    task, examples = recipe.task, folder.examples
    reference = TrainingReference.fit(read_split(recipe.data, "train", task).examples)
    untrained = score_examples(open_untrained(recipe, recipe.base.model), examples)
    predictions = {"untrained base": list(untrained.predictions)}
    for name, predict in list_baselines(task, reference).items():
        predictions[name] = [Prediction(example.id, predict(example), "") for example in examples]
    found = {}
    for name, guessed in predictions.items():
        score = untrained.score if name == "untrained base" else score_predictions(task, examples, guessed, resamples=0)
        counts = [_table(folder.report["score"], examples, one) for one in (guessed, folder.predictions)]
        gain = compare_f1(*counts)[0]
        found[name] = {
            "headline": score.figures()[score.headline],
            "difference": [gain.low, gain.high],
            "score": score.to_json(),
        }
    return found


def _table(score: Mapping[str, Any], examples: Sequence[Example], predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """Documents x 1 x (right, wrong, missed), as `compare_f1` takes them."""
    totals = [one.total for one in count_each(score, examples, predictions)]
    return np.array([[(prf.tp, prf.fp, prf.fn)] for prf in totals], dtype=np.float64)


def write_result(arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Keep what was measured as `results/score-NAME.json`, with the command and the machine, and print it."""
    words = shlex.join([arguments.name, arguments.recipe, *arguments.overrides, "--what", arguments.what])
    command = f"python -m benchmarks.scores {words}"
    result = {"what": arguments.what, "command": command, "machine": describe_machine(), **figures}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (RESULTS / f"score-{arguments.name}.json").write_text(text, encoding="utf-8")
    print(text)


def describe_machine() -> dict[str, str | int | None]:
    """Processor count, architecture and the versions that decide speed and scores."""
    libraries = {name: version(name) for name in ("torch", "transformers", "peft", "llguidance")}
    return {"cpus": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version(), **libraries}


if __name__ == "__main__":
    main()
