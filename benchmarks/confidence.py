"""What the confidences of a trained extraction run are worth: `python -m benchmarks.confidence NAME RUN --what TEXT`.

The calibrator and the thresholds come from the run's dev split, as `extune calibrate` finds them; they are then applied to its
test split, which neither has seen. Writes `benchmarks/results/confidence-NAME.json`. The run itself is not changed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from extune.data.splits import read_split
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.evaluation.calibration import select_threshold
from extune.evaluation.reliability import Verdict, judge_items, sort_into_bins
from extune.files import write_json
from extune.predicting.open import load_predictor
from extune.runs.run_dir import RunDir
from extune.stages.calibrate import Fit, fit_documents

RESULTS = Path(__file__).parent / "results"
_RISKS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25)


def predict_split(run: RunDir, split: str) -> list[tuple[Example, Prediction]]:
    """The examples of a split with predictions whose confidences are raw."""
    recipe = run.recipe()
    examples = read_split(recipe.data, split, recipe.task).examples
    predictor = load_predictor(run.path, calibrated=False)
    return list(zip(examples, predictor.predict_many(examples), strict=True))


def rank_quality(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """AUROC, and the area under the risk-coverage curve (Geifman et al. 2018)."""
    right = [one.confidence for one in verdicts if one.right]
    wrong = [one.confidence for one in verdicts if not one.right]
    above = sum((one > other) + (one == other) / 2 for one in right for other in wrong)
    ordered = sorted(verdicts, key=lambda one: -one.confidence)
    errors, area = 0, 0.0
    for number, one in enumerate(ordered, 1):
        errors += not one.right
        area += errors / number / len(ordered)
    return {"auroc": above / (len(right) * len(wrong)), "aurc": area}


def select_on_dev(fit: Fit, test: Sequence[Verdict], max_risk: float) -> dict[str, Any]:
    """What is promised from dev, and what became of it on test."""
    selection = select_threshold(fit.fitted, fit.held, max_risk)
    result = selection.model_dump() | {"dev_coverage": selection.coverage, "dev_risk": selection.risk}
    if selection.threshold is None:
        return result
    kept = [one.right for one in test if one.confidence >= selection.threshold]
    return result | {"test_coverage": len(kept) / len(test), "test_risk": 1 - sum(kept) / max(len(kept), 1)}


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--what", required=True)
    arguments = parser.parse_args()
    run = RunDir(arguments.run)
    fit = fit_documents(predict_split(run, "dev"), "transformers")
    raw, without = judge_items(predict_split(run, "test"))
    test = fit.calibrator.calibrate(raw)
    words = [arguments.name, f"runs/{run.path.name}", "--what", arguments.what]
    result = {
        "what": arguments.what,
        "command": f"python -m benchmarks.confidence {shlex.join(words)}",
        "calibrator": fit.calibrator.model_dump(exclude={"knots"}),
        "dev": {"before": fit.before.to_json(), "after": fit.after.to_json()},
        "test": {
            "before": sort_into_bins(raw, without).to_json(),
            "after": sort_into_bins(test, without).to_json(),
            **rank_quality(raw),
        },
        "selections": [select_on_dev(fit, test, risk) for risk in _RISKS],
    }
    write_json(RESULTS / f"confidence-{arguments.name}.json", result)


if __name__ == "__main__":
    sys.exit(main())
