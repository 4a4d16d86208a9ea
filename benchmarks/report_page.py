"""How large and how fast a report of 10,000 documents is: `python -m benchmarks.report_page [--documents N]`.

The documents are those of a bundled sample, again and again; the gazetteer predicts. Writes
`benchmarks/results/report-page.json`. The browser's figures need Chromium and are left out without it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tools.report_picture import find_chromium, open_page

import extune
from extune.data.splits import read_split
from extune.domain.prediction import Prediction
from extune.evaluation.assessment import assess
from extune.evaluation.scoring import score_predictions
from extune.evaluation.training_reference import TrainingReference
from extune.files import write_json
from extune.reporting.reports import write_score_report

RESULT = Path(__file__).parent / "results" / "report-page.json"
_STEPS = {
    "next_page": "document.querySelector('[data-step=next]').click()",
    "last_page": "document.querySelector('[data-step=last]').click()",
    "filter": "choose({kind: '0'})",
    "first_search": "choose({kind: '', search: '头'})",
    "second_search": "choose({search: '头痛'})",
    "language": "document.getElementById('language').click()",
}
_TIMED = "() => {{ const began = performance.now(); {step}; document.body.offsetHeight; return performance.now() - began; }}"


def write_page(folder: Path, count: int) -> dict[str, Any]:
    """Write a report and measure what it costs."""
    recipe = extune.load_recipe("clinic-notes")
    train, test = (read_split(recipe.data, name, recipe.task).examples for name in ("train", "test"))
    reference = TrainingReference.fit(train)
    examples = [replace(one, id=str(number)) for number, one in enumerate(islice(cycle(test), count))]
    predictions = [Prediction(one.id, reference.gazetteer.predict(one.text), "") for one in examples]
    score = score_predictions(recipe.task, examples, predictions)
    assessment = assess(score, recipe.task, examples, predictions, reference)
    began = time.process_time()
    write_score_report(
        folder, assessment=assessment, meta={"run": "size"}, documents=list(zip(examples, predictions, strict=True))
    )
    return {
        "documents": count,
        "characters_per_document": round(sum(len(one.text) for one in examples) / count, 1),
        "spans_per_document": round(sum(len(one.annotation.spans) for one in predictions) / count, 1),  # type: ignore[union-attr]
        "html_megabytes": round((folder / "report.html").stat().st_size / 1e6, 2),
        "write_cpu_seconds": round(time.process_time() - began, 2),
    }


def time_browser(page: Path) -> dict[str, int]:
    """Milliseconds until the page is loaded, and of each step."""
    with open_page(page) as opened:
        loaded = opened.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
        return {"load": round(loaded)} | {
            name: round(opened.evaluate(_TIMED.format(step=step))) for name, step in _STEPS.items()
        }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    count = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder:
        result = write_page(Path(folder), count)
        if find_chromium() is not None:
            result["browser_milliseconds"] = time_browser(Path(folder) / "report.html")
    write_json(RESULT, {"command": "python -m benchmarks.report_page", **result})
    print(result)


if __name__ == "__main__":
    main()
