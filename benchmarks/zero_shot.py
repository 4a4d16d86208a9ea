"""Score the untrained base on a test set: `python -m benchmarks.zero_shot NAME RECIPE [section.key=value ...] --what TEXT`.

Writes `benchmarks/results/zero-shot-NAME.json`.
"""

from __future__ import annotations

import time

import extune
from benchmarks.scores import build_parser, write_result
from extune.data.splits import read_split
from extune.predicting.draft import open_untrained
from extune.stages.evaluate import score_examples


def main() -> None:
    """Parse the command line, predict, score, write."""
    arguments = build_parser(__doc__).parse_args()
    recipe = extune.load_recipe(arguments.recipe, *arguments.overrides)
    examples = read_split(recipe.data, "test", recipe.task).examples
    began = time.monotonic()
    score = score_examples(open_untrained(recipe, recipe.base.model), examples).score
    figures = {"score_seconds": round(time.monotonic() - began, 1), "score": score.to_json()}
    write_result("zero-shot", "benchmarks.zero_shot", arguments, figures)


if __name__ == "__main__":
    main()
