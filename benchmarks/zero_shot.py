"""Score the untrained base on a test set: `python -m benchmarks.zero_shot NAME RECIPE --what TEXT [section.key=value ...]`.

Writes `benchmarks/results/zero-shot-NAME.json`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import time

import extune
from benchmarks.scores import RESULTS, describe_machine
from extune.data.splits import read_split
from extune.predicting.draft import open_untrained
from extune.stages.evaluate import score_examples


def main() -> None:
    """Parse the command line, predict, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--what", required=True, help="names the data in the tables")
    arguments = parser.parse_args()
    recipe = extune.load_recipe(arguments.recipe, *arguments.overrides)
    examples = read_split(recipe.data, "test", recipe.task).examples
    began = time.monotonic()
    score = score_examples(open_untrained(recipe, recipe.base.model), examples, None).score
    words = shlex.join([arguments.name, arguments.recipe, *arguments.overrides, "--what", arguments.what])
    result = {
        "what": arguments.what,
        "command": f"python -m benchmarks.zero_shot {words}",
        "machine": describe_machine(),
        "score_seconds": round(time.monotonic() - began, 1),
        "score": score.to_json(),
    }
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (RESULTS / f"zero-shot-{arguments.name}.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
