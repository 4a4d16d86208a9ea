"""Held-out rows: what one stage writes, the other reads."""

from __future__ import annotations

import json
from pathlib import Path

from tools.embedded_base.evaluate import score_held_out
from tools.embedded_base.extraction_text import write_held_out
from tools.embedded_base.sources import build_document

from extune.models.base_model import EMBEDDED, resolve_base


def test_held_out_rows_can_be_scored(tmp_path: Path) -> None:
    document = build_document("患者发热三天，咳嗽有痰。医生建议口服阿莫西林胶囊，每日三次。", "medical")
    rows = tmp_path / "rows.jsonl"
    write_held_out(rows, {"toyhom_medical_qa": [document]}, 2, seed=1)
    written = [json.loads(line) for line in rows.read_text(encoding="utf-8").split("\n") if line]
    score = score_held_out(resolve_base(EMBEDDED), rows)
    assert score.documents == len(written) == 2
    assert score.gold_spans == sum(len(row["entities"]) for row in written)
