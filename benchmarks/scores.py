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
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import extune
from extune.runs.run_dir import read_json

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse the command line, train, evaluate, write."""
    parser = build_parser(__doc__)
    parser.add_argument("--out", type=Path, help="keep the run here, or go on with it; default: a temporary folder")
    arguments = parser.parse_args()
    recipe = extune.load_recipe(arguments.recipe, *arguments.overrides)
    with TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary) / "run"
        run = extune.train(recipe, out=out, resume=True)
        seconds = read_json(run.manifest_file)["training"]["seconds"]
        began = time.monotonic()
        score = extune.evaluate(run.path, split="test").scores[0]
        scoring_seconds = time.monotonic() - began
    figures = {
        "train_seconds": round(seconds, 1),
        "score_seconds": round(scoring_seconds, 1),
        "score": score.to_json(),
    }
    write_result("score", "benchmarks.scores", arguments, figures)


def build_parser(description: str | None) -> argparse.ArgumentParser:
    """What every script that scores a recipe is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("name")
    parser.add_argument("--what", required=True, help="names the data in the tables")
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*")
    return parser


def write_result(kind: str, module: str, arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Keep what was measured as `results/KIND-NAME.json`, with the command and the machine, and print it."""
    words = shlex.join([arguments.name, arguments.recipe, *arguments.overrides, "--what", arguments.what])
    command = f"python -m {module} {words}"
    result = {"what": arguments.what, "command": command, "machine": describe_machine(), **figures}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (RESULTS / f"{kind}-{arguments.name}.json").write_text(text, encoding="utf-8")
    print(text)


def describe_machine() -> dict[str, str | int | None]:
    """Processor count, architecture and the versions that decide speed and scores."""
    libraries = {name: version(name) for name in ("torch", "transformers", "peft", "llguidance")}
    return {"cpus": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version(), **libraries}


if __name__ == "__main__":
    main()
