"""The untrained base is shown beside a run where it was scored on the same test set, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from extune.domain.annotation import Extraction, Span
from extune.domain.example import Example
from extune.domain.prediction import Prediction
from extune.domain.task import ExtractionTask
from extune.evaluation.assessment import assess
from extune.evaluation.scoring import score_predictions
from extune.reporting.scores_folder import write_scores_folder
from extune.reporting.untrained import score_untrained

_TASK = ExtractionTask(types={"药": ""})
_EXAMPLES = [Example("1", "黄芪", Extraction((Span("药", "黄芪", 0, 2),))), Example("2", "无恙", Extraction())]


def test_the_base_is_a_baseline_of_its_own_test_set_only(tmp_path: Path) -> None:
    predictions = [Prediction(one.id, Extraction(), "无") for one in _EXAMPLES]
    score = score_predictions(_TASK, _EXAMPLES, predictions)
    pairs = list(zip(_EXAMPLES, predictions, strict=True))
    write_scores_folder(tmp_path / "base", pairs, assess(score, _TASK, _EXAMPLES, predictions), {"run": "a", "split": "test"})
    assert score_untrained(tmp_path / "base", _TASK, _EXAMPLES) == {"untrained base": score}
    assert score_untrained(tmp_path / "base", _TASK, _EXAMPLES[:1]) == {}
    assert score_untrained(tmp_path / "nowhere", _TASK, _EXAMPLES) == {}
